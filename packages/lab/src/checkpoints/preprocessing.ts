import { InputError } from 'onnxgrad'
import {
  type Arithmetic,
  centerCrop,
  type HalfRounding,
  type Picture,
  type Resampling,
  resample,
  resampling,
} from '../images/resample.js'
import type { Model } from '../models/model.js'
import { type ImageProcessor, imageProcessorOf } from './image-processors.js'
import { type FileSize, type PreprocessorFile, preprocessorFile } from './preprocessor-file.js'
import { readJson } from './read-json.js'

/** Height and width in pixels. */
export interface Size {
  readonly height: number
  readonly width: number
}

/** How pictures of any size become a model's input, as image processors of `transformers` or timm do it. */
export interface Preprocessing {
  /** What transparency becomes. Default: it is dropped, whatever colour lies under it. */
  readonly background?: 'white'
  /** To a size, or so that the shorter side has a length; null: not at all. */
  readonly resize: Size | { readonly shortestEdge: number } | null
  readonly crop: Size | null
  /** How the crop's place is rounded. Default: down. */
  readonly cropRounding?: HalfRounding
  readonly resampling: Resampling
  readonly arithmetic: Arithmetic
  /** Order in which the model takes the channels. Default: red, green, blue. */
  readonly channels?: 'bgr'
  /** Per channel in that order, for values in [0, 1]. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
  /** What it was read from, to be written again. */
  readonly file: PreprocessorFile
}

/**
 * Reads a preprocessor_config.json; undefined if there is none.
 *
 * @param imageSize the model's: a file that names neither its class nor a size, and whose class would make pictures of
 * another one, is taken to squeeze them into this square.
 * @param modelType the `model_type` in config.json, which decides the class where the file does not name it.
 * @throws InputError as `preprocessingOf`, and if the file is damaged or has a key that is not known.
 */
export function preprocessingFrom(
  text: string | undefined,
  imageSize: number | undefined,
  folder: string,
  modelType?: string,
): Preprocessing | undefined {
  if (text === undefined) return undefined
  const file = `${folder}/preprocessor_config.json`
  const content = readJson(text, preprocessorFile, file)
  const made = preprocessingOf(content, file, modelType)
  const named = content.size ?? content.image_processor_type ?? content.feature_extractor_type
  if (named || imageSize === undefined || inputSide(made) === imageSize) return made
  return preprocessingOf({ ...content, image_processor_type: 'ViTImageProcessor', size: imageSize }, file)
}

/**
 * What a preprocessor_config.json says, whole.
 *
 * It resizes as torchvision does, which is what `transformers` 5 uses where it is installed. Pillow, its other way,
 * differs by one in a few bytes, and the file does not say which was used in training.
 *
 * @param file its name, for messages.
 * @throws InputError naming what is not supported: a class, or a key that its class does not have.
 */
export function preprocessingOf(content: PreprocessorFile, file: string, modelType?: string): Preprocessing {
  const type = content.image_processor_type ?? content.feature_extractor_type ?? undefined
  const processor = imageProcessorOf(type, modelType, file)
  assertOwnKeys(content, processor, type ?? 'its image processor', file)
  const kernel = resampling[content.resample ?? processor.resample]!
  if (kernel === 'box' || kernel === 'hamming')
    throw new InputError(
      `${file}: 'resample' ${content.resample} (${kernel}) is not supported by transformers 5`,
    )
  const rescales = content.do_rescale !== false
  return {
    ...((content.do_convert_rgb ?? processor.onWhite) && { background: 'white' as const }),
    ...geometry(content, processor, file),
    resampling: kernel,
    arithmetic: processor.rescalesFirst && rescales ? 'torch-float' : 'torch',
    ...((content.do_flip_channel_order ?? processor.own?.do_flip_channel_order) && {
      channels: 'bgr' as const,
    }),
    ...normalization(content, processor),
    file: content,
  }
}

/** A key of another class would change nothing in `transformers`, which can hardly be what the file is meant to say. */
function assertOwnKeys(
  content: PreprocessorFile,
  processor: ImageProcessor,
  type: string,
  file: string,
): void {
  const { own = {}, enlarges } = processor
  const foreign = (['rescale_offset', 'include_top', 'do_flip_channel_order'] as const).find(
    key => content[key] && !(key in own),
  )
  const odd =
    foreign ?? (content.crop_pct != null && !(enlarges && 'cropPct' in enlarges) ? 'crop_pct' : undefined)
  if (odd !== undefined)
    throw new InputError(
      `${file}: '${odd}' does nothing in ${type}: remove it, or name the class that it is of`,
    )
}

type Resize = Size | { readonly shortestEdge: number }

function geometry(
  content: PreprocessorFile,
  processor: ImageProcessor,
  file: string,
): Pick<Preprocessing, 'resize' | 'crop'> {
  const squares = content.default_to_square ?? processor.defaultToSquare ?? true
  const wanted = sizeOf(content.size ?? processor.size, squares)
  const resize = content.do_resize === false ? null : enlarged(wanted, content, processor, file)
  const crop = cropOf(content, processor, file)
  if (!resize || !processor.squeezesFrom384 || !('shortestEdge' in wanted)) return { resize, crop }
  const edge = wanted.shortestEdge
  const square = { height: edge, width: edge }
  if (edge >= 384) return { resize: square, crop }
  if (crop && (crop.height !== edge || crop.width !== edge)) {
    throw new InputError(
      `${file}: 'do_center_crop' to another size than ${edge}, to which 'crop_pct' crops, is not supported`,
    )
  }
  return { resize, crop: square }
}

/** The size in the file, made as much larger as its class makes it. */
function enlarged(
  wanted: Resize,
  content: PreprocessorFile,
  processor: ImageProcessor,
  file: string,
): Resize {
  const { enlarges, squeezesFrom384 } = processor
  if (!enlarges) return wanted
  const grown = (side: number) =>
    Math.trunc('by' in enlarges ? enlarges.by * side : side / (content.crop_pct ?? enlarges.cropPct))
  if ('shortestEdge' in wanted) return { shortestEdge: grown(wanted.shortestEdge) }
  if (squeezesFrom384)
    throw new InputError(`${file}: 'size' must have a shortest_edge for this image processor`)
  if ('by' in enlarges) return wanted
  const { height, width } = wanted
  return height === width ? { shortestEdge: grown(height) } : { height: grown(height), width: grown(width) }
}

function cropOf(content: PreprocessorFile, processor: ImageProcessor, file: string): Size | null {
  const { crops, cropSize } = processor
  if (crops === 'never') return null
  if (!(content.do_center_crop ?? (crops !== false && cropSize !== undefined))) return null
  const size = content.crop_size ?? cropSize
  if (size === undefined)
    throw new InputError(`${file}: 'do_center_crop' is true, but 'crop_size' is missing`)
  const found = sizeOf(size, true)
  if ('shortestEdge' in found) throw new InputError(`${file}: 'crop_size' must have height and width`)
  return found
}

function sizeOf(size: FileSize, squares: boolean): Resize {
  if (typeof size === 'number') return squares ? { height: size, width: size } : { shortestEdge: size }
  if ('shortest_edge' in size) return { shortestEdge: size.shortest_edge }
  return 'height' in size ? size : { height: size[0], width: size[1] }
}

/** Mean and deviation of all that is done to values in [0, 1]: each step subtracts and divides. */
function normalization(
  content: PreprocessorFile,
  { normalizes, own, ...processor }: ImageProcessor,
): Pick<Preprocessing, 'mean' | 'std'> {
  const rescales = content.do_rescale !== false
  const unscaled = 255 * (rescales ? (content.rescale_factor ?? 1 / 255) : 1)
  const offset = rescales && (content.rescale_offset ?? own?.rescale_offset) ? 1 : 0
  const std = content.image_std ?? processor.std
  const normal = normalizes !== 'never' && content.do_normalize !== false
  const mean = normal ? (content.image_mean ?? processor.mean) : [0, 0, 0]
  const again = content.include_top ?? own?.include_top
  return {
    mean: mean.map(value => (value + offset) / unscaled),
    std: std.map(value => ((normal ? value : 1) * (again ? value : 1)) / unscaled),
  }
}

/** The side of the square that every picture becomes; undefined if it does not become one. */
export function inputSide({ resize, crop }: Preprocessing): number | undefined {
  const made = crop ?? resize
  return made && 'height' in made && made.height === made.width ? made.height : undefined
}

/** Resized pictures have no more pixels than this: 200 MB. */
const MOST_PIXELS = 2 ** 26

/**
 * A picture as the model sees it, before it is normalized and its channels are put into another order.
 * @throws InputError if it would have to become very large on the way, being very long.
 */
export function preprocess(picture: Picture, preprocessing: Preprocessing): Picture {
  const { resize, crop, resampling, arithmetic } = preprocessing
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
  return crop ? centerCrop(made, crop, preprocessing.cropRounding) : made
}

function proportional({ height, width }: Picture, shortest: number): Size {
  const long = Math.trunc((shortest * Math.max(height, width)) / Math.min(height, width))
  return width <= height ? { height: long, width: shortest } : { height: shortest, width: long }
}

/** The preprocessor_config.json of a model: every picture is resized to its square, whatever its shape. */
export function preprocessorOf({
  imageSize,
  channels,
  mean,
  std,
}: Pick<Model, 'imageSize' | 'channels' | 'mean' | 'std'>) {
  const resized = {
    do_resize: true,
    size: { height: imageSize, width: imageSize },
    resample: 2,
    do_rescale: true,
  }
  // Only MobileViT's processor reverses channels, and it does not normalize: such a model has no mean, and one deviation.
  if (channels === 'bgr') {
    return {
      image_processor_type: 'MobileViTImageProcessor',
      ...resized,
      do_center_crop: false,
      rescale_factor: 1 / (255 * std[0]!),
      do_flip_channel_order: true,
    }
  }
  return {
    image_processor_type: 'ViTImageProcessor',
    ...resized,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  }
}
