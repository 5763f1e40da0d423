import { afterAll, describe, expect, it } from 'vitest'
import { InputError } from '../errors.js'
import { Graph } from '../graph/graph.js'
import { type Feeds, sizeOf, type Tensor } from '../graph/tensor.js'
import { readOnnx } from '../onnx/from-onnx.js'
import { toOnnxScan } from '../onnx/to-onnx-scan.js'
import { tanh } from '../ops/activation.js'
import { batchNorm } from '../ops/batch-normalization.js'
import { cast } from '../ops/cast.js'
import { add, div, mul } from '../ops/elementwise.js'
import { linear } from '../ops/matrix-product.js'
import { startRuntime } from '../runtime/node/index.js'
import { firstState as firstViTState, tinyViTStep, batch as vitBatch } from '../testing/tiny-vit.js'
import { correctCount, crossEntropy } from './losses.js'
import { adamW, sgd } from './optimizers.js'
import { sam } from './sam.js'
import { warmupCosine } from './schedules.js'
import { severalSteps } from './several-steps.js'
import { buildTrainStep, type TrainStep, type TrainStepOptions } from './train-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const [BATCH, INPUTS, HIDDEN, CLASSES, STEPS] = [6, 4, 5, 3, 7]
/** Parameters of every kind: trained, frozen, and buffers that each step moves. */
const options: TrainStepOptions = {
  parameters: {
    first: { shape: [HIDDEN, INPUTS], decay: true, frozen: true },
    scale: { shape: [HIDDEN], decay: false },
    shift: { shape: [HIDDEN], decay: false, rate: 0.5 },
    mean: { shape: [HIDDEN], decay: false, buffer: true },
    variance: { shape: [HIDDEN], decay: false, buffer: true },
    last: { shape: [CLASSES, HIDDEN], decay: true },
  },
  inputs: {
    x: { dtype: 'uint8', shape: [BATCH, INPUTS] },
    labels: { dtype: 'int64', shape: [BATCH] },
  },
  forward(_, p, { x, labels }) {
    const hidden = linear(div(cast(x!, 'float32'), 255), p.first!)
    const parameters = { scale: p.scale!, shift: p.shift!, mean: p.mean!, variance: p.variance! }
    const { y, mean, variance } = batchNorm(hidden, parameters, { training: true })
    const logits = linear(tanh(y), p.last!)
    return {
      loss: crossEntropy(logits, labels!, 0.1),
      deliver: { correct: correctCount(logits, labels!), logits },
      buffers: { mean, variance },
    }
  },
  optimizer: adamW({ weightDecay: 0.05 }),
  clipNorm: 0.5,
}

const spread = (size: number, salt: number) =>
  Float32Array.from({ length: size }, (_, i) => 2 * (((i + 1) * Math.SQRT2 + salt * 0.37) % 1) - 1)
const first = Object.fromEntries(
  Object.entries(options.parameters).map(([name, { shape }], i) => [
    name,
    spread(sizeOf(shape), i).map(Math.abs),
  ]),
)
const batch = (i: number): Feeds => ({
  x: {
    dtype: 'uint8',
    shape: [BATCH, INPUTS],
    data: Uint8Array.from(spread(BATCH * INPUTS, i + 9), x => 128 + 127 * x),
  },
  labels: {
    dtype: 'int64',
    shape: [BATCH],
    data: BigInt64Array.from({ length: BATCH }, (_, j) => BigInt((i + j) % CLASSES)),
  },
})
const rate = warmupCosine({ peak: 0.05, steps: STEPS, warmup: 2 })

const bits = (tensors: Feeds) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, data }]) => [
      name,
      `${dtype} ${shape} ${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')}`,
    ]),
  )

/** Makes the steps in runs of these lengths; 0 stands for one of the model of a single step. */
async function inRuns(
  step: TrainStep,
  initialState: Record<string, Tensor>,
  feeds: readonly Feeds[],
  runs: number[],
) {
  const several = severalSteps(step)
  const single = runs.every(length => length === 0)
  const session = await runtime.load(single ? step.model : several.model, { state: step.state, initialState })
  const delivered: Record<string, string>[] = []
  let i = 0
  for (const length of runs) {
    if (length === 0) delivered.push(bits(await session.run(feeds[i++]!)))
    else {
      const results = await session.run(several.join(feeds.slice(i, i + length)))
      delivered.push(...several.divide(results).map(bits))
      i += length
    }
  }
  const state = bits(await session.readState())
  await session.release()
  return { delivered, state }
}

describe('several steps in one run', () => {
  it.each<[string, Partial<TrainStepOptions>]>([
    ['AdamW', {}],
    ['SGD with momentum', { optimizer: sgd({ momentum: 0.9 }) }],
    ['micro-batches and averages', { microBatches: 2, ema: 0.9 }],
    ['SAM', { optimizer: sam(adamW({ weightDecay: 0.05 }), { rho: 0.05 }) }],
  ])('are single steps, bit by bit, with rates of their own (%s)', async (_, changes) => {
    const step = buildTrainStep({ ...options, ...changes })
    const feeds = Array.from({ length: STEPS }, (_, i) => ({ ...batch(i), ...step.scalars(i + 1, rate(i)) }))
    const singly = await inRuns(step, step.initialState(first), feeds, new Array(STEPS).fill(0))
    expect(singly.delivered.length).toBe(STEPS)
    for (const runs of [[STEPS], [3, 1, 2, 1]])
      expect(await inRuns(step, step.initialState(first), feeds, runs)).toEqual(singly)
    expect(new Set(singly.delivered.map(({ loss }) => loss)).size).toBe(STEPS)
  })

  it('are single steps of a whole ViT', async () => {
    const step = tinyViTStep()
    const feeds = Array.from({ length: 4 }, (_, i) => ({ ...vitBatch(), ...step.scalars(i + 1, 0.01) }))
    const singly = await inRuns(step, firstViTState(step), feeds, [0, 0, 0, 0])
    expect(await inRuns(step, firstViTState(step), feeds, [4])).toEqual(singly)
  })

  it('refuse feeds that do not belong together', () => {
    const { join } = severalSteps(buildTrainStep(options))
    expect(() => join([])).toThrow('there is no step to make: give the feeds of at least one')
    const { x, ...rest } = batch(0)
    const shorter = { ...x!, shape: [1, 4], data: new Uint8Array(4) }
    expect(() => join([batch(0), { x: shorter, ...rest }])).toThrow(
      "'x' is uint8[6, 4] in the first of the steps, but uint8[1, 4] in step 2 of them",
    )
    expect(() => join([batch(0), rest])).toThrow('but nothing in step 2 of them')
    expect(() => join([rest, batch(0)])).toThrow("'x' is fed in some of the steps only")
  })
})

describe('toOnnxScan', () => {
  const counting = () => {
    const graph = new Graph()
    const [count, by] = [graph.input('count', 'float32', []), graph.input('by', 'float32', [])]
    graph.output('next', add(count, by))
    graph.output('fed', by)
    graph.output('constant', graph.constant('float32', [2], [1, 2]))
    graph.output('square', mul(count, count))
    return graph
  }
  const numbers = (tensor: Tensor | undefined) => [tensor!.shape, Array.from(tensor!.data, Number)]

  it('carries, and stacks what is fed and delivered, inputs and constants included', async () => {
    const session = await runtime.load(toOnnxScan(counting(), { count: 'next' }))
    const { next, fed, constant, square } = await session.run({
      count: { dtype: 'float32', shape: [], data: Float32Array.of(1) },
      by: { dtype: 'float32', shape: [3], data: Float32Array.of(1, 2, 3) },
    })
    expect(numbers(next)).toEqual([[], [7]])
    expect(numbers(fed)).toEqual([[3], [1, 2, 3]])
    expect(numbers(constant)).toEqual([
      [3, 2],
      [1, 2, 1, 2, 1, 2],
    ])
    expect(numbers(square)).toEqual([[3], [1, 4, 16]])
    await session.release()
  })

  it('refuses what cannot be carried, and a graph that is fed nothing', () => {
    expect(() => toOnnxScan(counting(), { count: 'constant' })).toThrow("'count' cannot be carried")
    expect(() => toOnnxScan(counting(), { absent: 'next' })).toThrow("'absent' cannot be carried")
    const graph = new Graph()
    graph.output('y', tanh(graph.input('x', 'float32', [])))
    expect(() => toOnnxScan(graph, { x: 'y' })).toThrow('there is nothing to run the graph over')
  })

  it('gives a file that is refused as one with a graph inside', () => {
    expect(() => readOnnx(toOnnxScan(counting(), { count: 'next' }))).toThrow(InputError)
  })
})
