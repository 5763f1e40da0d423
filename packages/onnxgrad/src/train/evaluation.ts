import { gradients } from '../autodiff/gradients.js'
import { type Graph, GraphError, type Value } from '../graph/graph.js'
import { add, mul } from '../ops/elementwise.js'
import { concat } from '../ops/layout.js'
import { waitFor } from '../passes/wait-for.js'
import { type BatchInput, microBatch } from './micro-batches.js'

type Values = Readonly<Record<string, Value>>

/**
 * The forward pass as the user of a training step writes it.
 *
 * `instead`: what takes the place of values, by them, once gradients are built. No trained parameter may reach a value
 * that is replaced. An input that only such values needed is not fed.
 */
export type Forward = (
  graph: Graph,
  parameters: Values,
  inputs: Values,
) => { loss: Value; deliver?: Values; buffers?: Values; instead?: ReadonlyMap<Value, Value> }

/** What one forward and backward pass over the batch gives. */
export interface Evaluation {
  readonly loss: Value
  readonly deliver: Values
  /** The buffers' next values: of micro-batches, the mean of what each makes of the same first ones. */
  readonly buffers: Values
  /** One a parameter, in their order. */
  readonly gradients: readonly Value[]
  readonly instead: ReadonlyMap<Value, Value>
}

export interface EvaluationOptions {
  readonly graph: Graph
  readonly forward: Forward
  readonly inputs: Values
  readonly specs: Readonly<Record<string, BatchInput>>
  readonly microBatches: number
}

/**
 * Loss and gradients of the whole batch at these parameters, micro-batch after micro-batch.
 * @param wrt names of the parameters to differentiate at.
 * @throws GraphError if one of them does not reach the loss.
 */
export function evaluateAt(
  parameters: Values,
  wrt: readonly string[],
  options: EvaluationOptions,
): Evaluation {
  const { graph, forward, inputs, specs, microBatches } = options
  const pass = (part: Values, share: number): Evaluation => {
    const { loss, deliver = {}, buffers = {}, instead = new Map() } = forward(graph, parameters, part)
    // The share in the mean over all micro-batches; of all there is, no node is needed.
    const seed = share === 1 ? {} : { seed: graph.constant(loss.dtype, [], [share]) }
    const found = graph.within('backward', () =>
      gradients(
        [{ value: loss, ...seed }],
        wrt.map(name => parameters[name]!),
      ),
    )
    const reached = found.map((gradient, i) => {
      if (!gradient) throw new GraphError(`parameter '${wrt[i]}' has no influence on the loss`)
      return gradient
    })
    return { loss, deliver, buffers, gradients: reached, instead }
  }
  if (microBatches === 1) return pass(inputs, 1)
  let total: Evaluation | undefined
  for (let i = 0; i < microBatches; i++) {
    total = graph.within(`micro${i}`, () => {
      const part = microBatch(inputs, specs, i, microBatches)
      if (!total) return pass(part, 1 / microBatches)
      const waiting = waitFor(total.gradients, Object.values(part))
      const ready = Object.fromEntries(Object.keys(part).map((name, j) => [name, waiting[j]!]))
      return joined(total, pass(ready, 1 / microBatches))
    })
  }
  const mean = (sum: Value) => mul(sum, 1 / microBatches)
  return { ...total!, loss: mean(total!.loss), buffers: mapValues(total!.buffers, mean) }
}

function mapValues(values: Values, change: (value: Value, name: string) => Value): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value, name)]))
}

function joined(total: Evaluation, part: Evaluation): Evaluation {
  return {
    loss: add(total.loss, part.loss),
    deliver: mapValues(part.deliver, (value, name) => {
      const before = total.deliver[name]!
      return value.shape.length === 0 ? add(before, value) : concat([before, value], 0)
    }),
    buffers: mapValues(part.buffers, (value, name) => add(total.buffers[name]!, value)),
    gradients: part.gradients.map((gradient, i) => add(total.gradients[i]!, gradient)),
    instead: new Map([...total.instead, ...part.instead]),
  }
}
