import {
  buildModel,
  type ImageSet,
  imageSize,
  imagesInMemory,
  initialWeights,
  type Model,
  modelConfig,
  rng,
  type Weights,
} from '@ageb/lab'
import type { BenchSettings } from '../settings.js'

const CLASSES = Array.from({ length: 10 }, (_, i) => String(i))

/** The model that is measured. Throws RangeError if its sizes do not go together. */
export function benchModel({ width, depth, heads, patch, image }: BenchSettings): Model {
  const config = modelConfig.parse({
    image_size: image,
    patch_size: patch,
    hidden_size: width,
    num_hidden_layers: depth,
    num_attention_heads: heads,
    intermediate_size: 4 * width,
  })
  return buildModel(config, { classNames: CLASSES })
}

/** Its weights before any training. */
export function benchWeights(model: Model): Weights {
  return initialWeights(model, rng(1, 'weights'))
}

/** Images of noise: what they show makes no difference to the time. */
export function noise({ image }: BenchSettings, count: number): ImageSet {
  const random = rng(1, 'images')
  const set = { height: image, width: image }
  return imagesInMemory({
    name: 'noise',
    split: 'train',
    ...set,
    pixels: Uint8Array.from({ length: count * imageSize(set) }, () => random.int(256)),
    labels: Int32Array.from({ length: count }, (_, i) => i % CLASSES.length),
    classNames: CLASSES,
  })
}
