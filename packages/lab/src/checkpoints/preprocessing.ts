import { InputError } from 'onnxgrad'
import { z } from 'zod'
import {
  type Arithmetic,
  centerCrop,
  type Picture,
  type Resampling,
  resample,
  resampling,
} from '../images/resample.js'
import type { Model } from '../models/model.js'
import { readJson } from './read-json.js'

/** Height and width in pixels. */
export interface Size {
  readonly height: number
  readonly width: number
}

/** How pictures of any size become a model's input, as image processors of `transformers` do it. */
export interface Preprocessing {
  /** To a size, or so that the shorter side has a length; null: not at all. */
  readonly resize: Size | { readonly shortestEdge: number } | null
  readonly crop: Size | null
  readonly resampling: Resampling
  readonly arithmetic: Arithmetic
  /** Per channel, for values in [0, 1]. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
  /** What it was read from, to be written again. */
  readonly file: PreprocessorFile
}

const side = z.int().positive().max(16_384)
const square = z.object({ height: side, width: side })
const size = z.union([side, square, z.strictObject({ shortest_edge: side })], {
  error: 'neither a side, nor height and width, nor a shortest_edge',
})
const threeNumbers = (of: z.ZodNumber) =>
  z.union([of.transform(value => [value, value, value]), z.array(of).length(3)])

/** What is read of a preprocessor_config.json; what it lacks is as its class has it. */
export const preprocessorFile = z.object({
  image_processor_type: z.string().optional(),
  feature_extractor_type: z.string().optional(),
  do_resize: z.boolean().nullish(),
  size: size.nullish(),
  resample: z.int().min(0).max(5).nullish(),
  crop_pct: z.number().positive().max(1).nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: size.nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: z.number().positive().nullish(),
  do_normalize: z.boolean().nullish(),
  image_mean: threeNumbers(z.number()).nullish(),
  image_std: threeNumbers(z.number().positive()).nullish(),
})
export type PreprocessorFile = z.infer<typeof preprocessorFile>

/**
 * Reads a preprocessor_config.json; undefined if there is none.
 *
 * @param imageSize the model's, for a file that names neither its class nor a size.
 * @throws InputError as `preprocessingOf`, and if the file is damaged.
 */
export function preprocessingFrom(
  text: string | undefined,
  imageSize: number | undefined,
  folder: string,
): Preprocessing | undefined {
  if (text === undefined) return undefined
  const file = `${folder}/preprocessor_config.json`
  const content = readJson(text, preprocessorFile, file)
  const bare = !content.size && !content.image_processor_type && !content.feature_extractor_type
  return preprocessingOf({ ...content, ...(bare && imageSize && { size: imageSize }) }, file)
}

interface Defaults {
  readonly size: z.infer<typeof size>
  readonly resample: number
  readonly cropSize?: number
  readonly cropPct?: number
}
/** Of `transformers`, by class; the first is what a file without a class is taken for. */
const classes = {
  ViT: { size: 224, resample: 2 },
  DeiT: { size: 256, resample: 3, cropSize: 224 },
  ConvNext: { size: { shortest_edge: 384 }, resample: 3, cropPct: 0.875 },
} satisfies Record<string, Defaults>

/**
 * What a preprocessor_config.json says.
 *
 * It resizes as torchvision does, which is what `transformers` 5 uses where it is installed. Pillow, its other way,
 * differs by one in a few bytes, and the file does not say which was used in training.
 *
 * @param file its name, for messages.
 * @throws InputError if it is of a class that is not known and does not say what it does.
 */
export function preprocessingOf(content: PreprocessorFile, file: string): Preprocessing {
  const type = content.image_processor_type ?? content.feature_extractor_type ?? 'ViTImageProcessor'
  const stem = type.replace(/(ImageProcessor|FeatureExtractor)(Fast|Pil)?$/, '')
  const known: Defaults | undefined = classes[stem as keyof typeof classes]
  if (!known && (content.size == null || content.resample == null)) {
    throw new InputError(
      `${file}: the image processor ${type} is not known (${Object.keys(classes).join(', ')} are): ` +
        "write 'size' and 'resample' into the file",
    )
  }
  const defaults = known ?? classes.ViT
  const wanted = content.size ?? defaults.size
  const crops = content.do_center_crop ?? defaults.cropSize !== undefined
  const cropSize = content.crop_size ?? defaults.cropSize ?? wanted
  const unscaled = 255 * (content.do_rescale === false ? 1 : (content.rescale_factor ?? 1 / 255))
  const half = [0.5, 0.5, 0.5]
  const normalizes = content.do_normalize !== false
  const mean = normalizes ? (content.image_mean ?? half) : [0, 0, 0]
  const std = normalizes ? (content.image_std ?? half) : [1, 1, 1]
  return {
    ...(defaults.cropPct === undefined
      ? { resize: fixedOrShortest(wanted), crop: crops ? fixed(cropSize, file) : null }
      : cropped(wanted, content.crop_pct ?? defaults.cropPct, file)),
    ...(content.do_resize === false && { resize: null }),
    resampling: resampling[content.resample ?? defaults.resample]!,
    arithmetic: 'torch',
    mean: mean.map(value => value / unscaled),
    std: std.map(value => value / unscaled),
    file: content,
  }
}

/** ConvNeXt's way: below 384, a share of a larger picture is cut out; from there on the picture is squeezed. */
function cropped(wanted: z.infer<typeof size>, share: number, file: string) {
  const edge =
    typeof wanted === 'number' ? wanted : 'shortest_edge' in wanted ? wanted.shortest_edge : undefined
  if (edge === undefined)
    throw new InputError(`${file}: 'size' must have a shortest_edge for this image processor`)
  const square = { height: edge, width: edge }
  return edge < 384
    ? { resize: { shortestEdge: Math.trunc(edge / share) }, crop: square }
    : { resize: square, crop: null }
}

function fixedOrShortest(wanted: z.infer<typeof size>): Size | { shortestEdge: number } {
  if (typeof wanted === 'number') return { height: wanted, width: wanted }
  return 'shortest_edge' in wanted ? { shortestEdge: wanted.shortest_edge } : wanted
}

function fixed(wanted: z.infer<typeof size>, file: string): Size {
  const found = fixedOrShortest(wanted)
  if ('shortestEdge' in found) throw new InputError(`${file}: 'crop_size' must have height and width`)
  return found
}

/** The side of the square that every picture becomes; undefined if it does not become one. */
export function inputSide({ resize, crop }: Preprocessing): number | undefined {
  const made = crop ?? resize
  return made && 'height' in made && made.height === made.width ? made.height : undefined
}

/** Resized pictures have no more pixels than this: 200 MB. */
const MOST_PIXELS = 2 ** 26

/**
 * A picture as the model sees it, before it is normalized.
 * @throws InputError if it would have to become very large on the way, being very long.
 */
export function preprocess(
  picture: Picture,
  { resize, crop, resampling, arithmetic }: Preprocessing,
): Picture {
  let made = picture
  if (resize) {
    const to = 'height' in resize ? resize : proportional(picture, resize.shortestEdge)
    if (to.height * to.width > MOST_PIXELS) {
      throw new InputError(
        `a picture of ${picture.width}×${picture.height} pixels would become one of ${to.width}×${to.height}: crop it first`,
      )
    }
    made = resample(picture, to, resampling, arithmetic)
  }
  return crop ? centerCrop(made, crop) : made
}

function proportional({ height, width }: Picture, shortest: number): Size {
  const long = Math.trunc((shortest * Math.max(height, width)) / Math.min(height, width))
  return width <= height ? { height: long, width: shortest } : { height: shortest, width: long }
}

/** The preprocessor_config.json of a model: every picture is resized to its square, whatever its shape. */
export function preprocessorOf({ imageSize, mean, std }: Pick<Model, 'imageSize' | 'mean' | 'std'>) {
  return {
    image_processor_type: 'ViTImageProcessor',
    do_resize: true,
    size: { height: imageSize, width: imageSize },
    resample: 2,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  }
}
