import { z } from 'zod'
import type { Model } from '../models/model.js'

const side = z.int().positive()
const size = z.union([
  side,
  z.object({ height: side, width: side }),
  z.object({ shortest_edge: side }).transform(({ shortest_edge }) => shortest_edge),
])

/** What is read of a preprocessor_config.json. */
export const preprocessorFile = z.object({
  image_mean: z.array(z.number()).length(3).default([0.5, 0.5, 0.5]),
  image_std: z.array(z.number().positive()).length(3).default([0.5, 0.5, 0.5]),
  size: size.optional().catch(undefined),
  do_center_crop: z.boolean().default(false),
  crop_size: size.optional().catch(undefined),
})
export type PreprocessorFile = z.infer<typeof preprocessorFile>

/** The side of the square that a preprocessor makes of every picture; undefined if it does not say, or no square. */
export function inputSide(file: PreprocessorFile): number | undefined {
  const made = file.do_center_crop ? (file.crop_size ?? file.size) : file.size
  if (made === undefined || typeof made === 'number') return made
  return made.height === made.width ? made.height : undefined
}

/** The preprocessor_config.json of a model: pictures are resized to its square whatever their shape is. */
export function preprocessorOf(model: Model) {
  return {
    image_processor_type: 'ViTImageProcessor',
    do_resize: true,
    size: { height: model.imageSize, width: model.imageSize },
    resample: 2,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: model.mean,
    image_std: model.std,
  }
}
