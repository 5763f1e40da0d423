import { z } from 'zod'

const side = z.int().positive().max(16_384)
/** A size as a preprocessor_config.json has it: a side, height and width, or how long the shorter side becomes. */
export const fileSize = z.union(
  [
    side,
    z.tuple([side, side]),
    z.strictObject({ height: side, width: side }),
    z.strictObject({ shortest_edge: side }),
  ],
  { error: 'neither a side, nor height and width, nor a shortest_edge' },
)
export type FileSize = z.infer<typeof fileSize>

const threeNumbers = (of: z.ZodNumber) =>
  z.union([of.transform(value => [value, value, value]), z.array(of).length(3)])
const flag = z.boolean().nullish()
const share = z.number().positive().max(1).nullish()

/** Keys that decide nothing about the pictures of a classifier. */
const harmless: readonly string[] = [
  ...['processor_class', '_processor_class', 'transformers_version', 'name_or_path', '_name_or_path'],
  ...['_valid_processor_keys', '_valid_kwargs_names'],
  // How a program hands pictures over and gets tensors back.
  ...['data_format', 'input_data_format', 'return_tensors', 'device', 'disable_grouping', 'image_seq_length'],
  // Of segmentation maps.
  ...['do_reduce_labels', 'reduce_labels'],
  // Without do_pad it does nothing.
  'pad_size',
]

const shape = {
  image_processor_type: z.string().nullish(),
  feature_extractor_type: z.string().nullish(),
  do_convert_rgb: flag,
  do_resize: flag,
  size: fileSize.nullish(),
  default_to_square: flag,
  resample: z.int().min(0).max(5).nullish(),
  crop_pct: share,
  do_center_crop: flag,
  crop_size: fileSize.nullish(),
  do_rescale: flag,
  rescale_factor: z.number().positive().nullish(),
  rescale_offset: flag,
  do_normalize: flag,
  image_mean: threeNumbers(z.number()).nullish(),
  image_std: threeNumbers(z.number().positive()).nullish(),
  include_top: flag,
  do_flip_channel_order: flag,
  // Of PoolFormer's first versions; later ones always do.
  do_resize_and_center_crop: z.literal(true).nullish(),
}

/**
 * A preprocessor_config.json. What it lacks is as its class has it. Every other key is refused unless it is null or
 * false, which in all image processors of `transformers` means that something is not done.
 */
export const preprocessorFile = z.looseObject(shape).superRefine((content, context) => {
  for (const [key, value] of Object.entries(content)) {
    if (value === null || value === false || key in shape || harmless.includes(key)) continue
    const message = 'this key is not known, and it may change the pictures: remove it if it does not'
    context.addIssue({ code: 'custom', path: [key], message })
  }
})
export type PreprocessorFile = z.infer<typeof preprocessorFile>
