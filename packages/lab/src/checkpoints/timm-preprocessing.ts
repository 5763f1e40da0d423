import { InputError } from 'onnxgrad'
import { z } from 'zod'
import { type Preprocessing, preprocessingOf } from './preprocessing.js'
import { preprocessorFile } from './preprocessor-file.js'

/** Numbers of `resample` in a preprocessor_config.json: those of Pillow. */
const resample = { nearest: 0, lanczos: 1, bilinear: 2, bicubic: 3, box: 4, hamming: 5 } as const
type Interpolation = keyof typeof resample

const side = z.int().positive().max(16_384)
/** Null stands for the default. */
const or = <T extends z.ZodType>(of: T, otherwise: z.output<T>) =>
  of.nullish().transform(value => value ?? otherwise)
const channels = (of: z.ZodNumber, ofImageNet: number[]) =>
  or(
    z.union([z.array(of).length(3), z.tuple([of]).transform(([value]) => [value, value, value])]),
    ofImageNet,
  )

/** What `pretrained_cfg` of timm's config.json says of pictures: timm looks at no other key. */
export const timmPictures = z.object({
  input_size: z.tuple([z.literal(3), side, side]).nullish(),
  interpolation: or(z.enum(Object.keys(resample) as [Interpolation]), 'bicubic'),
  crop_pct: or(z.number().positive().max(1), 0.875),
  crop_mode: or(z.enum(['center', 'squash']), 'center'),
  mean: channels(z.number(), [0.485, 0.456, 0.406]),
  std: channels(z.number().positive(), [0.229, 0.224, 0.225]),
})
export type TimmPictures = z.infer<typeof timmPictures>

/**
 * Side of the square input that `pretrained_cfg` names; undefined if it names none.
 * @throws InputError if it is no square.
 */
export function timmInputSide({ input_size }: TimmPictures, file: string): number | undefined {
  if (!input_size) return undefined
  const [, height, width] = input_size
  if (height === width) return height
  throw new InputError(`${file}: 'input_size' is ${height}×${width}, and only squares are supported`)
}

/**
 * How timm evaluates: the shorter side to side / crop_pct, then the centre; `squash` keeps no proportions. It resizes
 * with Pillow, and crops as torchvision does.
 *
 * @param side of the model's square input.
 * @param file config.json's name, for messages.
 */
export function timmPreprocessing(pictures: TimmPictures, side: number, file: string): Preprocessing {
  const { crop_pct, crop_mode, interpolation, mean, std } = pictures
  const resized = Math.floor(side / crop_pct)
  const content = {
    image_processor_type: 'ViTImageProcessor',
    do_resize: true,
    size: crop_mode === 'center' ? { shortest_edge: resized } : { height: resized, width: resized },
    resample: resample[interpolation],
    do_center_crop: true,
    crop_size: { height: side, width: side },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  }
  return {
    ...preprocessingOf(preprocessorFile.parse({ ...content, resample: resample.bicubic }), file),
    resampling: interpolation,
    arithmetic: 'pillow',
    cropRounding: 'even',
    file: preprocessorFile.parse(content),
  }
}
