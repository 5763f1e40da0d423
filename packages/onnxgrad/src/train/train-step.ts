import type { Device } from '../device.js'
import { InputError } from '../errors.js'
import { allocate, type TensorData } from '../graph/dtype.js'
import { Graph, GraphError, type Value } from '../graph/graph.js'
import { type Feeds, type Shape, sameShape, showType, type Tensor } from '../graph/tensor.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { add, div, min, mul, sub } from '../ops/elementwise.js'
import { collapseReshapes } from '../passes/collapse-reshapes.js'
import { shareCommonSubexpressions } from '../passes/common-subexpressions.js'
import { foldScalars } from '../passes/fold-scalars.js'
import { forDevice } from '../passes/for-device.js'
import { recompute } from '../passes/recompute.js'
import { rewrite } from '../passes/rewrite.js'
import { bundleData, bundles as bundled, unbundleData } from './bundles.js'
import { evaluateAt, type Forward } from './evaluation.js'
import { globalNorm } from './global-norm.js'
import type { BatchInput } from './micro-batches.js'
import type { Optimizer } from './optimizers.js'
import type { ParameterSpec } from './parameters.js'

export interface TrainStepOptions {
  readonly parameters: Readonly<Record<string, ParameterSpec>>
  /** What is fed at every step, by name: the batch. */
  readonly inputs?: Readonly<Record<string, BatchInput>>
  /**
   * Builds the forward pass from the parameters and `inputs`: returns the scalar loss, a mean over the batch,
   * whatever else each step is to deliver, and what every buffer that is not frozen becomes. Of what is delivered, a
   * scalar is a sum over the batch, and anything else has the examples along its first axis. The forward pass
   * may also add inputs of its own to the graph, unless it has to be called more than once: for every micro-batch, and
   * twice for SAM.
   */
  readonly forward: Forward
  readonly optimizer: Optimizer
  /** Gradients are scaled so that the norm over all of them is at most this. Default: not clipped. */
  readonly clipNorm?: number
  /**
   * Equal parts of the batch that are run sequentially, their gradients added up: less memory for
   * the same result up to rounding, unless the forward pass mixes examples as batch normalization does. Default 1.
   */
  readonly microBatches?: number
  /**
   * Scopes (see `Graph.within`) whose activations are computed again in the backward pass instead of being kept:
   * less memory for about a third more work. Default: none.
   */
  readonly recompute?: readonly string[]
  /**
   * Keeps an exponential moving average of the trained parameters with this decay, in [0, 1). It is
   * min(ema, (1 + step) / (10 + step)), so that the first steps are soon forgotten. Default: none.
   */
  readonly ema?: number
  /** What the step will run on: see `forDevice`. Default 'cpu'. */
  readonly device?: Device
}

/** A training step as one ONNX model: forward, backward and optimizer. */
export interface TrainStep {
  readonly graph: Graph
  readonly model: Uint8Array
  /**
   * The session's state, input → output: parameters, optimizer memory and averages, most of them bundled (see
   * `bundles`): read it with `result`.
   */
  readonly state: Readonly<Record<string, string>>
  /** State for these parameters, with the optimizer's memory at zero and averages at the parameters. */
  initialState(parameters: Readonly<Record<string, Float32Array>>): Record<string, Tensor>
  /** The scalars to feed besides the batch. @param step counted from 1. */
  scalars(step: number, learningRate: number): Feeds
  /** The state that `result` reads. */
  readonly resultState: readonly string[]
  /** The parameters out of a session's state: their averages where there are any. */
  result(state: Readonly<Record<string, Tensor>>): Record<string, Float32Array>
}

/** Name of the state tensor in which the optimizer remembers `slot` of a bundle. */
const slotName = (slot: string, bundle: string) => `optimizer.${slot}.${bundle}`

/** Name of the state tensor that holds the moving averages of a bundle. */
const averageName = (bundle: string) => `ema.${bundle}`

/**
 * Builds a training step. It delivers `loss`, `gradientNorm` (before clipping) and what `forward` delivers. With
 * SAM, the loss, what is delivered and the buffers are those at the parameters, the norm is that of the second gradient.
 *
 * @throws GraphError if a parameter does not reach the loss, a buffer has no next value, or the batch does not
 * divide into micro-batches.
 * @throws InputError if every parameter is frozen.
 */
export function buildTrainStep(options: TrainStepOptions): TrainStep {
  const { parameters, inputs: specs = {}, optimizer, clipNorm, microBatches = 1, ema } = options
  const graph = new Graph()
  const names = Object.keys(parameters)
  const trained = names.filter(name => !parameters[name]!.frozen && !parameters[name]!.buffer)
  if (trained.length === 0) throw new InputError('every parameter is frozen: leave one free to train')
  for (const name of trained) {
    const { rate = 1 } = parameters[name]!
    if (!(rate > 0))
      throw new GraphError(`parameter '${name}' has rate ${rate}: freeze it, or make it above 0`)
  }
  const bundles = bundled(parameters, trained)
  const values: Record<string, Value> = {}
  const input = (name: string, shape: Shape) => {
    values[name] = graph.input(name, 'float32', shape)
  }
  for (const { name, shape } of bundles) input(name, shape)
  const kept = names.filter(name => !trained.includes(name))
  for (const name of kept) input(name, parameters[name]!.shape)
  const inputs: Record<string, Value> = {}
  for (const [name, { dtype, shape }] of Object.entries(specs)) inputs[name] = graph.input(name, dtype, shape)

  const forward = onceUnlessDeclared(options)
  const others = Object.fromEntries(kept.map(name => [name, values[name]!]))
  const evaluation = { graph, bundles, others, forward, inputs, specs, microBatches }
  const wholes = bundles.map(({ name }) => values[name]!)
  const { loss, deliver, buffers, gradients, instead } = evaluateAt(wholes, evaluation)
  const replaced = new Map(instead)
  let grads = gradients
  if (optimizer.perturb) {
    const perturbed = optimizer.perturb(wholes, grads)
    const moved = graph.within('perturbed', () => evaluateAt(perturbed, evaluation))
    grads = moved.gradients
    for (const [value, other] of moved.instead) replaced.set(value, other)
  }

  const state: Record<string, string> = {}
  const keep = (input: string, value: Value) => {
    state[input] = `${input}.next`
    graph.output(`${input}.next`, value)
  }
  const scalarsAt = (step: number): Record<string, number> => ({
    ...optimizer.scalars(step),
    ...(ema !== undefined && { emaDecay: Math.min(ema, (1 + step) / (10 + step)) }),
  })
  graph.within('optimizer', () => {
    const norm = globalNorm(grads)
    const scale =
      clipNorm === undefined ? null : min(div(clipNorm, add(norm, 1e-6)), graph.constant('float32', [], [1]))
    const learningRate = graph.input('learningRate', 'float32', [])
    const scalars = Object.fromEntries(
      Object.keys(scalarsAt(1)).map(name => [name, graph.input(name, 'float32', [])]),
    )
    graph.output('loss', loss)
    graph.output('gradientNorm', norm)
    for (const [name, value] of Object.entries(deliver)) graph.output(name, value)
    bundles.forEach(({ name, shape, decay, rate }, i) => {
      const slots = optimizer.slots.map(slot => graph.input(slotName(slot, name), 'float32', shape))
      const gradient = scale ? mul(grads[i]!, scale) : grads[i]!
      const next = optimizer.update({
        parameter: wholes[i]!,
        gradient,
        slots,
        learningRate: rate === 1 ? learningRate : mul(learningRate, rate),
        scalars,
        decay,
      })
      keep(name, next.parameter)
      for (const [j, slot] of next.slots.entries()) keep(slotName(optimizer.slots[j]!, name), slot)
      if (ema === undefined) return
      const average = graph.input(averageName(name), 'float32', shape)
      const { emaDecay } = scalars
      keep(averageName(name), add(mul(average, emaDecay!), mul(next.parameter, sub(1, emaDecay!))))
    })
    // State like the others, so that one model serves any weights and a checkpoint holds them all.
    for (const name of kept) {
      const now = values[name]!
      keep(name, parameters[name]!.frozen ? now : nextOf(name, now, buffers[name]))
    }
  })
  const whole = replaced.size > 0 ? rewrite(graph, undefined, replaced) : graph
  const plain = collapseReshapes(forDevice(whole, options.device ?? 'cpu'))
  const shared = foldScalars(shareCommonSubexpressions(plain))
  const optimized = options.recompute ? recompute(shared, options.recompute) : shared
  const resultName = (bundle: string) => (ema === undefined ? bundle : averageName(bundle))
  return {
    graph: optimized,
    model: toOnnx(optimized, { name: 'training-step' }),
    state,
    initialState(weights) {
      const missing = names.find(name => !weights[name])
      if (missing !== undefined) throw new GraphError(`parameter '${missing}' has no first value`)
      const first: Record<string, Tensor> = {}
      const start = (name: string, shape: Shape, data: TensorData) => {
        first[name] = { dtype: 'float32', shape, data }
      }
      for (const one of bundles) {
        const data = bundleData(one, weights)
        start(one.name, one.shape, data)
        for (const slot of optimizer.slots)
          start(slotName(slot, one.name), one.shape, allocate('float32', data.length))
        if (ema !== undefined) start(averageName(one.name), one.shape, data)
      }
      for (const name of kept) start(name, parameters[name]!.shape, weights[name]!)
      return first
    },
    scalars(step, learningRate) {
      const all = { learningRate, ...scalarsAt(step) }
      return Object.fromEntries(
        Object.entries(all).map(([name, value]) => [
          name,
          { dtype: 'float32', shape: [], data: Float32Array.of(value) },
        ]),
      )
    },
    resultState: [...bundles.map(({ name }) => resultName(name)), ...kept],
    result(tensors) {
      const data = (name: string) => tensors[name]!.data as Float32Array
      const parts = bundles.map(one => unbundleData(one, parameters, data(resultName(one.name))))
      const all = Object.assign(Object.fromEntries(kept.map(name => [name, data(name)])), ...parts)
      return Object.fromEntries(names.map(name => [name, all[name]!]))
    },
  }
}

/** What a buffer becomes. Throws GraphError if the forward pass does not say, or it is of another shape. */
function nextOf(name: string, now: Value, next: Value | undefined): Value {
  if (next && sameShape(next.shape, now.shape)) return next
  throw new GraphError(
    `the forward pass must return under buffers what '${name}' [${now.shape.join(', ')}] becomes, ` +
      `not ${next ? showType(next) : 'nothing'}`,
  )
}

/** The forward pass, which may add inputs to the graph only if it is called no more than once. */
function onceUnlessDeclared({ forward, optimizer, microBatches = 1 }: TrainStepOptions): Forward {
  if (microBatches === 1 && !optimizer.perturb) return forward
  return (graph, parameters, inputs) => {
    const before = graph.inputs.length
    const built = forward(graph, parameters, inputs)
    const added = graph.inputs[before]
    if (added) {
      throw new GraphError(
        `the forward pass adds the input '${added.name}', but is called for every micro-batch or twice for SAM: declare it under inputs`,
      )
    }
    return built
  }
}
