import type { Device } from '../device.js'
import type { Value } from '../graph/graph.js'
import { type Feeds, sizeOf, type Tensor } from '../graph/tensor.js'
import { gelu, relu } from '../ops/activation.js'
import { cast } from '../ops/cast.js'
import { conv2d } from '../ops/convolution.js'
import { add, div } from '../ops/elementwise.js'
import { concat, expand, slice, swapLast, transpose } from '../ops/layout.js'
import { linear, matmul } from '../ops/matrix-product.js'
import { layerNorm, softmax } from '../ops/normalization.js'
import { reshape } from '../ops/reshaping.js'
import type { Runtime } from '../runtime/session.js'
import { correctCount, crossEntropy } from '../train/losses.js'
import { adamW } from '../train/optimizers.js'
import { warmupCosine } from '../train/schedules.js'
import { buildTrainStep, type TrainStep } from '../train/train-step.js'

/** A Vision Transformer of a few thousand parameters, to compare whole training steps across devices. */
const [BATCH, SIDE, PATCH, STEM, WIDTH, HEADS, HIDDEN, BLOCKS, CLASSES] = [8, 8, 4, 4, 16, 2, 32, 1, 4]
const TOKENS = (SIDE / PATCH) ** 2 + 1
const STEPS = 20
/** The step, from 0, that gives away the state before it. */
const TAKEN = 2

const shapes: Record<string, readonly number[]> = {
  'stem.weight': [STEM, 3, 3, 3],
  'stem.bias': [STEM],
  'patch.weight': [WIDTH, STEM * PATCH * PATCH],
  class: [1, 1, WIDTH],
  position: [1, TOKENS, WIDTH],
  ...Object.fromEntries(
    Array.from({ length: BLOCKS }, (_, i) => [
      [`${i}.norm1.scale`, [WIDTH]],
      [`${i}.norm1.shift`, [WIDTH]],
      ...['query', 'key', 'value', 'out'].map(name => [`${i}.${name}`, [WIDTH, WIDTH]]),
      [`${i}.norm2.scale`, [WIDTH]],
      [`${i}.norm2.shift`, [WIDTH]],
      [`${i}.up`, [HIDDEN, WIDTH]],
      [`${i}.up.bias`, [HIDDEN]],
      [`${i}.down`, [WIDTH, HIDDEN]],
    ]).flat(),
  ),
  head: [CLASSES, WIDTH],
}

/** Values in [−1, 1) without any generator of random numbers: multiples of an irrational number, folded. */
const spread = (size: number, salt: number, scale: number) =>
  Float32Array.from({ length: size }, (_, i) => scale * (2 * (((i + 1) * Math.SQRT2 + salt * 0.7) % 1) - 1))

/** State before the first step. */
export function firstState(step: TrainStep): Record<string, Tensor> {
  const values = Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => [
      name,
      name.endsWith('.scale')
        ? new Float32Array(sizeOf(shape)).fill(1)
        : spread(sizeOf(shape), i, shape.length > 1 ? 0.25 : 0.02),
    ]),
  )
  return step.initialState(values)
}

/** Cuts (batch, channels, side, side) into rows of one patch each. */
function patches(x: Value): Value {
  const [batch, channels, side] = x.shape as [number, number, number]
  const n = side / PATCH
  const cut = transpose(reshape(x, [batch, channels, n, PATCH, n, PATCH]), [0, 2, 4, 1, 3, 5])
  return reshape(cut, [batch * n * n, channels * PATCH * PATCH])
}

function attention(x: Value, p: Readonly<Record<string, Value>>, block: number): Value {
  const heads = (name: string) =>
    transpose(reshape(linear(x, p[`${block}.${name}`]!), [BATCH, TOKENS, HEADS, WIDTH / HEADS]), [0, 2, 1, 3])
  const scores = div(matmul(heads('query'), swapLast(heads('key'))), Math.sqrt(WIDTH / HEADS))
  const mixed = matmul(softmax(scores), heads('value'))
  return linear(reshape(transpose(mixed, [0, 2, 1, 3]), [BATCH * TOKENS, WIDTH]), p[`${block}.out`]!)
}

function logits(pixels: Value, p: Readonly<Record<string, Value>>): Value {
  const stem = relu(conv2d(pixels, p['stem.weight']!, p['stem.bias']!, { padding: 1 }))
  const tokens = reshape(linear(patches(stem), p['patch.weight']!), [BATCH, TOKENS - 1, WIDTH])
  const all = concat([expand(p.class!, [BATCH, 1, WIDTH]), tokens], 1)
  let x = reshape(add(all, p.position!), [BATCH * TOKENS, WIDTH])
  for (let i = 0; i < BLOCKS; i++) {
    const norm = (name: string) => layerNorm(x, p[`${i}.${name}.scale`]!, p[`${i}.${name}.shift`]!, 1e-6)
    x = add(x, attention(norm('norm1'), p, i))
    const up = linear(norm('norm2'), p[`${i}.up`]!, p[`${i}.up.bias`]!)
    x = add(x, linear(gelu(up), p[`${i}.down`]!))
  }
  const first = slice(reshape(x, [BATCH, TOKENS, WIDTH]), [1], [0], [1])
  return linear(reshape(first, [BATCH, WIDTH]), p.head!)
}

/** The step. The batch: `images` uint8 (8, 3, 8, 8), `labels` int64 (8). */
export function tinyViTStep(): TrainStep {
  return buildTrainStep({
    parameters: Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, { shape, decay: shape.length > 1 }]),
    ),
    forward(graph, p) {
      const images = graph.input('images', 'uint8', [BATCH, 3, SIDE, SIDE])
      const labels = graph.input('labels', 'int64', [BATCH])
      const output = logits(div(cast(images, 'float32'), 255), p)
      return { loss: crossEntropy(output, labels, 0.1), deliver: { correct: correctCount(output, labels) } }
    },
    optimizer: adamW({ weightDecay: 0.05 }),
    clipNorm: 1,
  })
}

/** What a device made of the model. */
export interface DeviceReport {
  readonly device: Device
  /** Of 20 training steps on one batch. */
  readonly losses: readonly number[]
  /** The trained values of one parameter. */
  readonly head: readonly number[]
  /** Its values before the third step, as that step gave them away. */
  readonly headBefore: readonly number[]
}

/** Trains the model for 20 steps. */
export async function trainTinyViT(runtime: Runtime): Promise<DeviceReport> {
  const step = tinyViTStep()
  const session = await runtime.load(step.model, { state: step.state, initialState: firstState(step) })
  try {
    const rate = warmupCosine({ peak: 0.006, steps: STEPS, warmup: 2 })
    const losses: number[] = []
    let headBefore: number[] = []
    for (let i = 0; i < STEPS; i++) {
      const feeds = { ...batch(), ...step.scalars(i + 1, rate(i)) }
      const taken = i === TAKEN ? await session.runAndTakeState(feeds) : null
      if (taken) headBefore = Array.from(step.result(taken.state).head!)
      const { loss } = taken?.outputs ?? (await session.run(feeds))
      losses.push(Number(loss!.data[0]))
    }
    const { head } = step.result(await session.readState(step.resultState))
    return { device: await runtime.device(), losses, head: Array.from(head!), headBefore }
  } finally {
    await session.release()
  }
}

/** The largest difference between two lists, relative to the first. */
export function relativeDifference(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!) / Math.abs(x)))
}

/** Images without meaning, labels in turn: a model of this size learns them by heart. */
export function batch(): Feeds {
  const pixels = Uint8Array.from({ length: BATCH * 3 * SIDE * SIDE }, (_, i) => (i * i * 7 + i * 13) % 251)
  const labels = BigInt64Array.from({ length: BATCH }, (_, i) => BigInt(i % CLASSES))
  return {
    images: { dtype: 'uint8', shape: [BATCH, 3, SIDE, SIDE], data: pixels },
    labels: { dtype: 'int64', shape: [BATCH], data: labels },
  }
}
