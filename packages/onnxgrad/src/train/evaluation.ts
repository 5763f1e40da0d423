import { gradients as gradientsOf } from '../autodiff/gradients.js'
import { type Graph, GraphError, type Value } from '../graph/graph.js'
import { add, mul } from '../ops/elementwise.js'
import { concat } from '../ops/layout.js'
import { waitFor } from '../passes/wait-for.js'
import { type Bundle, bundle, unbundle } from './bundles.js'
import { frontierOf } from './frontier.js'
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
  /** One a bundle, in their order. */
  readonly gradients: readonly Value[]
  readonly instead: ReadonlyMap<Value, Value>
}

export interface EvaluationOptions {
  readonly graph: Graph
  /** What is differentiated at. */
  readonly bundles: readonly Bundle[]
  /** Parameters and buffers that are in no bundle. */
  readonly others: Values
  readonly forward: Forward
  readonly inputs: Values
  readonly specs: Readonly<Record<string, BatchInput>>
  readonly microBatches: number
}

/** What one micro-batch gives. */
interface Pass extends Omit<Evaluation, 'gradients'> {
  /** Values that depend on parameters alone (see `Frontier`), and the gradient at each. */
  readonly frontier: readonly Value[]
  readonly gradients: readonly Value[]
}

/**
 * Loss and gradients of the whole batch at these parameters, micro-batch after micro-batch. What is computed of the
 * parameters alone is differentiated once, after the micro-batches' gradients at it are added up.
 *
 * @param wholes the bundles' values.
 * @throws GraphError if a parameter of a bundle does not reach the loss.
 */
export function evaluateAt(wholes: readonly Value[], options: EvaluationOptions): Evaluation {
  const { graph, bundles, inputs, specs, microBatches } = options
  const trained: Values = Object.assign({}, ...bundles.map((one, i) => unbundle(one, wholes[i]!)))
  const run = (part: Values) => onePass(options, trained, part)
  let total: Pass | undefined
  for (let i = 0; i < microBatches; i++) {
    if (microBatches === 1) total = run(inputs)
    else
      total = graph.within(`micro${i}`, () => {
        const part = microBatch(inputs, specs, i, microBatches)
        if (!total) return run(part)
        const waiting = waitFor(total.gradients, Object.values(part))
        return joined(total, run(Object.fromEntries(Object.keys(part).map((name, j) => [name, waiting[j]!]))))
      })
  }
  const { loss, deliver, buffers, instead, frontier, gradients: at } = total!
  const names = Object.keys(trained)
  const gradients = graph.within('backward', () => {
    const found = gradientsOf(
      frontier.map((value, i) => ({ value, seed: at[i]! })),
      Object.values(trained),
    )
    const byName = Object.fromEntries(
      found.map((gradient, i): [string, Value] => {
        if (!gradient) throw new GraphError(`parameter '${names[i]}' has no influence on the loss`)
        return [names[i]!, gradient]
      }),
    )
    return bundles.map(one => bundle(one, byName))
  })
  const mean = (sum: Value) => (microBatches === 1 ? sum : mul(sum, 1 / microBatches))
  return { loss: mean(loss), deliver, buffers: mapValues(buffers, mean), gradients, instead }
}

/** Forward and backward over one micro-batch, back to what depends on parameters alone. */
function onePass(
  { graph, forward, others, microBatches }: EvaluationOptions,
  trained: Values,
  part: Values,
): Pass {
  const from = graph.nodes.length
  const {
    loss,
    deliver = {},
    buffers = {},
    instead = new Map(),
  } = forward(graph, { ...others, ...trained }, part)
  const { values, moving } = frontierOf(graph, from, {
    trained: Object.values(trained),
    others: Object.values(others),
    loss,
  })
  // The share in the mean over all micro-batches; of all there is, no node is needed.
  const seed = microBatches === 1 ? {} : { seed: graph.constant(loss.dtype, [], [1 / microBatches]) }
  const found = graph.within('backward', () => gradientsOf([{ value: loss, ...seed }], values, moving))
  const reached = values.flatMap((value, i): [Value, Value][] => (found[i] ? [[value, found[i]]] : []))
  return {
    loss,
    deliver,
    buffers,
    instead,
    frontier: reached.map(([value]) => value),
    gradients: reached.map(([, gradient]) => gradient),
  }
}

function mapValues(values: Values, change: (value: Value, name: string) => Value): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value, name)]))
}

function joined(total: Pass, part: Pass): Pass {
  return {
    loss: add(total.loss, part.loss),
    deliver: mapValues(part.deliver, (value, name) => {
      const before = total.deliver[name]!
      return value.shape.length === 0 ? add(before, value) : concat([before, value], 0)
    }),
    buffers: mapValues(part.buffers, (value, name) => add(total.buffers[name]!, value)),
    // The passes are built alike, so what the parameters alone decide comes in the same order.
    frontier: total.frontier,
    gradients: part.gradients.map((gradient, i) => add(total.gradients[i]!, gradient)),
    instead: new Map([...total.instead, ...part.instead]),
  }
}
