import { type Feeds, InputError, sizeOf, type Tensor } from 'onnxgrad'
import { augment } from '../images/augment.js'
import { type ImageSource, imageSize } from '../images/image-source.js'
import { mix, mixes } from '../images/mix.js'
import type { TensorSource } from '../images/tensor-source.js'
import { type Rng, rng } from '../random/rng.js'
import type { Objective } from './objective.js'
import type { TrainingConfig } from './training-config.js'

/** What one step is fed, but for its scalars. */
export interface Batch {
  /** Which images of the data, in the order of the examples. */
  readonly indices: Int32Array
  readonly feeds: Feeds
  /** Names of the feeds that nobody else holds, so that their memory may go over to a session. */
  readonly own: readonly string[]
}

/** What the frozen blocks of a model make of every image of the data, computed once. */
export interface FrozenPrefix {
  /** The block that it goes into, from 0; the number of blocks stands for what follows them. */
  readonly block: number
  /** As `computePrefix` makes it. */
  readonly hidden: TensorSource
}

export interface BatcherOptions {
  readonly data: ImageSource
  readonly config: TrainingConfig
  readonly seed: number
  /** Of the model, that stochastic depth can drop. */
  readonly branches: number
  /** Whose hook may change what is fed. */
  readonly objective?: Objective
  /** Fed in place of images. */
  readonly prefix?: FrozenPrefix
}

/** Number of optimizer steps; the last incomplete batch of an epoch is left out. */
export function stepsOf(images: number, config: TrainingConfig): { perEpoch: number; total: number } {
  const perEpoch = Math.floor(images / config.batchSize)
  return { perEpoch, total: Math.round(perEpoch * config.epochs) }
}

/** @throws InputError if the images do not make a single step */
export function assertSteps(images: number, config: TrainingConfig): void {
  const { perEpoch, total } = stepsOf(images, config)
  if (total >= 1) return
  throw new InputError(
    perEpoch === 0
      ? `${images} training images make no batch of ${config.batchSize}: lower batchSize`
      : `${config.epochs} epochs of ${perEpoch} steps are less than one step: raise epochs`,
  )
}

/** Bytes of the images, or of what stands for them, in one batch. */
export function batchBytes({ data, config, prefix }: BatcherOptions): number {
  return config.batchSize * (prefix ? 4 * sizeOf(prefix.hidden.shape) : imageSize(data))
}

/**
 * The batch of step i, from 0, a function of its number alone: images in the epoch's order, augmented, with their
 * labels; or mixed, with their targets; then changed by the objective's hook. Several may be under way at the same time.
 */
export function batcher(options: BatcherOptions): (i: number) => Promise<Batch> {
  const { data, config, seed, branches, objective, prefix } = options
  const { batchSize, stochasticDepth } = config
  const { perEpoch } = stepsOf(data.count, config)
  const examplesOf = prefix ? hiddenExamples(data, prefix.hidden) : imageExamples(data, config, seed)
  let order: { epoch: number; indices: Int32Array } | undefined
  return async i => {
    const epoch = Math.floor(i / perEpoch)
    if (order?.epoch !== epoch)
      order = { epoch, indices: rng(seed, 'shuffle', epoch).permutation(data.count) }
    const random = rng(seed, 'augment', i)
    const first = (i % perEpoch) * batchSize
    const indices = order.indices.subarray(first, first + batchSize)
    const feeds = await examplesOf(i, indices, random)
    if (stochasticDepth > 0) {
      const scale = branchScale(branches, batchSize, stochasticDepth, random)
      feeds.branchScale = { dtype: 'float32', shape: [branches, batchSize], data: scale }
    }
    const context = { step: i + 1, rng: rng(seed, 'objective', i), indices }
    const changed = (await objective?.batch?.({ ...feeds }, context)) ?? feeds
    return { indices, feeds: changed, own: Object.keys(feeds).filter(name => changed[name] === feeds[name]) }
  }
}

type Examples = (i: number, indices: Int32Array, random: Rng) => Promise<Record<string, Tensor>>

/** Images, augmented, with their labels; or mixed, with soft targets. */
function imageExamples(data: ImageSource, config: TrainingConfig, seed: number): Examples {
  const { height, width } = data
  const size = imageSize(data)
  const classes = data.classNames.length
  const stored = new Uint8Array(size)
  return async (i, indices, random) => {
    const shape = [indices.length, 3, height, width]
    const pixels = new Uint8Array(indices.length * size)
    await data.read(indices, pixels)
    if (config.crop > 0 || config.flip) {
      for (let start = 0; start < pixels.length; start += size) {
        const image = pixels.subarray(start, start + size)
        stored.set(image)
        augment(stored, image, data, config, random)
      }
    }
    if (!mixes(config))
      return { images: { dtype: 'uint8', shape, data: pixels }, labels: labelsOf(data, indices) }
    const labels = Int32Array.from(indices, index => data.labels[index]!)
    const mixed = mix({ pixels, labels, height, width, classes }, config, rng(seed, 'mix', i))
    return {
      images: { dtype: 'uint8', shape, data: mixed.pixels },
      targets: { dtype: 'float32', shape: [indices.length, classes], data: mixed.targets },
    }
  }
}

/** What frozen blocks made of the images, with their labels. */
function hiddenExamples(data: ImageSource, hidden: TensorSource): Examples {
  return async (_, indices) => {
    const values = new Float32Array(indices.length * sizeOf(hidden.shape))
    await hidden.read(indices, values)
    return {
      hidden: { dtype: 'float32', shape: [indices.length, ...hidden.shape], data: values },
      labels: labelsOf(data, indices),
    }
  }
}

function labelsOf({ labels }: ImageSource, indices: Int32Array): Tensor {
  const data = BigInt64Array.from(indices, index => BigInt(labels[index]!))
  return { dtype: 'int64', shape: [indices.length], data }
}

/** Factors of residual branches: 0, or 1 / (1 − rate), where the rate rises linearly to `depth` for the last. */
function branchScale(branches: number, batchSize: number, depth: number, random: Rng): Float32Array {
  const scale = new Float32Array(branches * batchSize)
  for (let j = 0; j < scale.length; j++) {
    const drop = (depth * (Math.floor(j / batchSize) + 1)) / branches
    scale[j] = random.uniform() < drop ? 0 : 1 / (1 - drop)
  }
  return scale
}
