import { type ImageSet, imagesInMemory } from '../images/image-set.js'
import type { Model, Task } from '../models/model.js'
import { type ViTConfig, vit, vitConfig } from '../models/vit.js'
import { rng } from '../random/rng.js'

const names = ['red', 'green', 'blue']

/** Three classes, and a normalization that is not that of any default. */
export const tinyTask: Task = { classNames: names, mean: [0.4, 0.5, 0.6], std: [0.3, 0.25, 0.2] }

/** A ViT whose configuration is typed. */
export type TinyViT = Model & { readonly config: ViTConfig }

/** A ViT with every part of a large one: 8×8 images, 4-pixel patches, two blocks, two heads, three classes. */
export function tinyViT(changes: Partial<ViTConfig> = {}): TinyViT {
  const config = vitConfig.parse({
    image_size: 8,
    patch_size: 4,
    hidden_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 12,
    ...changes,
  })
  return { ...vit.build(config, tinyTask), config }
}

/** Weights large enough that every part of the model matters: fresh ones leave attention almost even. */
export function strongWeights(model: Model, seed: number, scale = 0.4): Record<string, Float32Array> {
  const random = rng(seed, 'strong')
  return Object.fromEntries(
    Object.entries(model.parameters).map(([name, { shape, init, buffer }]) => {
      const size = shape.reduce((n, dim) => n * dim, 1)
      const centre = init === 'ones' ? 1 : 0
      const draw = () => centre + scale * random.normal()
      // A buffer that starts at one is a variance.
      const variance = buffer && init === 'ones'
      return [name, Float32Array.from({ length: size }, () => (variance ? Math.abs(draw()) + 0.1 : draw()))]
    }),
  )
}

/** Noise images with a brighter channel that tells the class, so that there is something to learn. */
export function tinyImages(count: number, seed = 1, side = 8): ImageSet {
  const random = rng(seed, 'images')
  const plane = side * side
  const labels = Int32Array.from({ length: count }, (_, i) => i % 3)
  const pixels = new Uint8Array(count * 3 * plane)
  for (let i = 0; i < pixels.length; i++) {
    const bright = Math.floor(i / plane) % 3 === labels[Math.floor(i / (3 * plane))]
    pixels[i] = random.int(180) + (bright ? 70 : 0)
  }
  return imagesInMemory({
    name: 'tiny',
    split: 'train',
    height: side,
    width: side,
    pixels,
    labels,
    classNames: names,
  })
}
