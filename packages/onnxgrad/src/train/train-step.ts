import { gradients } from '../autodiff/gradients.js'
import { Graph, GraphError } from '../graph/graph.js'
import { toOnnx } from '../graph/to-onnx.js'
import { allocate, type Shape, sizeOf, type Value } from '../graph/types.js'
import { add, div, min, mul, sqrt } from '../ops/elementwise.js'
import { reduceSumSquare } from '../ops/reduction.js'
import { shareCommonSubexpressions } from '../passes/common-subexpressions.js'
import { foldScalars } from '../passes/fold-scalars.js'
import type { Feeds, Tensor } from '../runtime/session.js'
import type { Optimizer } from './optimizers.js'

/** A trainable tensor, float32. */
export interface ParameterSpec {
  readonly shape: Shape
  /** Whether weight decay applies. Usual: matrices and kernels yes; biases, norms and embeddings no. */
  readonly decay: boolean
}

export interface TrainStepOptions {
  readonly parameters: Readonly<Record<string, ParameterSpec>>
  /**
   * Builds the forward pass: adds its own inputs (a batch) to the graph and returns the scalar loss, and
   * whatever else each step is to deliver.
   */
  readonly forward: (
    graph: Graph,
    parameters: Readonly<Record<string, Value>>,
  ) => { loss: Value; deliver?: Readonly<Record<string, Value>> }
  readonly optimizer: Optimizer
  /** Gradients are scaled so that the norm over all of them is at most this. Default: not clipped. */
  readonly clipNorm?: number
}

/** A training step as one ONNX model: forward, backward and optimizer. */
export interface TrainStep {
  readonly graph: Graph
  readonly model: Uint8Array
  /** The session's state: parameters and optimizer memory, input → output. */
  readonly state: Readonly<Record<string, string>>
  /** State for these parameters, with the optimizer's memory at zero. */
  initialState(parameters: Readonly<Record<string, Float32Array>>): Record<string, Tensor>
  /** The scalars to feed besides the batch. @param step counted from 1. */
  scalars(step: number, learningRate: number): Feeds
}

/** Name of the state tensor in which the optimizer remembers `slot` of a parameter. */
export function slotName(slot: string, parameter: string): string {
  return `optimizer.${slot}.${parameter}`
}

/**
 * Builds a training step. It delivers `loss`, `gradientNorm` (before clipping) and what `forward` delivers.
 * Throws GraphError if a parameter does not reach the loss.
 */
export function buildTrainStep(options: TrainStepOptions): TrainStep {
  const { parameters, optimizer, clipNorm } = options
  const graph = new Graph()
  const names = Object.keys(parameters)
  const values: Record<string, Value> = {}
  for (const name of names) values[name] = graph.input(name, 'float32', parameters[name]!.shape)
  const { loss, deliver = {} } = options.forward(graph, values)
  const raw = graph.within('backward', () =>
    gradients(
      [{ value: loss }],
      names.map(name => values[name]!),
    ),
  )
  const grads = raw.map((gradient, i) => {
    if (!gradient) throw new GraphError(`parameter '${names[i]}' has no influence on the loss`)
    return gradient
  })
  const state: Record<string, string> = {}
  const scalarNames = Object.keys(optimizer.scalars(1))
  graph.within('optimizer', () => {
    const norm = sqrt(
      grads
        .map(g =>
          reduceSumSquare(
            g,
            g.shape.map((_, axis) => axis),
          ),
        )
        .reduce(add),
    )
    const scale =
      clipNorm === undefined ? null : min(div(clipNorm, add(norm, 1e-6)), graph.constant('float32', [], [1]))
    const learningRate = graph.input('learningRate', 'float32', [])
    const scalars = Object.fromEntries(scalarNames.map(name => [name, graph.input(name, 'float32', [])]))
    graph.output('loss', loss)
    graph.output('gradientNorm', norm)
    for (const [name, value] of Object.entries(deliver)) graph.output(name, value)
    names.forEach((name, i) => {
      const { shape, decay } = parameters[name]!
      const slots = optimizer.slots.map(slot => graph.input(slotName(slot, name), 'float32', shape))
      const gradient = scale ? mul(grads[i]!, scale) : grads[i]!
      const next = optimizer.update({
        parameter: values[name]!,
        gradient,
        slots,
        learningRate,
        scalars,
        decay,
      })
      const keep = (input: string, value: Value) => {
        state[input] = `${input}.next`
        graph.output(`${input}.next`, value)
      }
      keep(name, next.parameter)
      for (const [j, slot] of next.slots.entries()) keep(slotName(optimizer.slots[j]!, name), slot)
    })
  })
  const optimized = foldScalars(shareCommonSubexpressions(graph))
  return {
    graph: optimized,
    model: toOnnx(optimized, { name: 'training-step' }),
    state,
    initialState(weights) {
      const first: Record<string, Tensor> = {}
      for (const name of names) {
        const { shape } = parameters[name]!
        const data = weights[name]
        if (!data) throw new GraphError(`parameter '${name}' has no first value`)
        first[name] = { dtype: 'float32', shape, data }
        for (const slot of optimizer.slots) {
          first[slotName(slot, name)] = { dtype: 'float32', shape, data: allocate('float32', sizeOf(shape)) }
        }
      }
      return first
    },
    scalars(step, learningRate) {
      const all = { learningRate, ...optimizer.scalars(step) }
      return Object.fromEntries(
        Object.entries(all).map(([name, value]) => [
          name,
          { dtype: 'float32', shape: [], data: Float32Array.of(value) },
        ]),
      )
    },
  }
}
