import type { Tensor } from 'onnxgrad'
import { augment } from '../images/augment.js'
import { type ImageSource, imageSize } from '../images/image-source.js'
import { mix, mixes } from '../images/mix.js'
import { type Rng, rng } from '../random/rng.js'
import type { TrainingConfig } from './training-config.js'

/** The feeds of step i: images in the epoch's order, augmented, with their labels; or mixed, with their targets. */
export function batcher(
  data: ImageSource,
  config: TrainingConfig,
  seed: number,
  perEpoch: number,
  branches: number,
) {
  const { batchSize, stochasticDepth } = config
  const { height, width } = data
  const size = imageSize(data)
  const shape = [batchSize, 3, height, width]
  const classes = data.classNames.length
  let order: { epoch: number; indices: Int32Array } | undefined
  return async (i: number): Promise<Record<string, Tensor>> => {
    const epoch = Math.floor(i / perEpoch)
    if (order?.epoch !== epoch)
      order = { epoch, indices: rng(seed, 'shuffle', epoch).permutation(data.count) }
    const random = rng(seed, 'augment', i)
    const first = (i % perEpoch) * batchSize
    const indices = order.indices.subarray(first, first + batchSize)
    const stored = new Uint8Array(batchSize * size)
    await data.read(indices, stored)
    const pixels = new Uint8Array(batchSize * size)
    const part = (all: Uint8Array, b: number) => all.subarray(b * size, (b + 1) * size)
    for (let b = 0; b < batchSize; b++) augment(part(stored, b), part(pixels, b), data, config, random)
    const labels = Int32Array.from(indices, index => data.labels[index]!)
    const feeds: Record<string, Tensor> = {}
    if (mixes(config)) {
      const mixed = mix({ pixels, labels, height, width, classes }, config, rng(seed, 'mix', i))
      feeds.images = { dtype: 'uint8', shape, data: mixed.pixels }
      feeds.targets = { dtype: 'float32', shape: [batchSize, classes], data: mixed.targets }
    } else {
      feeds.images = { dtype: 'uint8', shape, data: pixels }
      feeds.labels = { dtype: 'int64', shape: [batchSize], data: BigInt64Array.from(labels, BigInt) }
    }
    if (stochasticDepth > 0) {
      const scale = branchScale(branches, batchSize, stochasticDepth, random)
      feeds.branchScale = { dtype: 'float32', shape: [branches, batchSize], data: scale }
    }
    return feeds
  }
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
