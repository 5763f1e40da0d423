import { InputError } from 'onnxgrad'
import { quote } from './safetensors-format.js'

/** What a class of image processors does where a preprocessor_config.json does not say otherwise. */
export interface ImageProcessor {
  readonly size: { readonly height: number; readonly width: number } | { readonly shortest_edge: number }
  /** Whether a size that is one number is the side of a square, not the length of the shorter side. Default: true. */
  readonly defaultToSquare?: false
  readonly resample: number
  /** Side of the square that is cut out. Default: none. */
  readonly cropSize?: number
  /** Whether it is cut out: `never` whatever the file says. Default: if there is a `cropSize`. */
  readonly crops?: false | 'never'
  readonly mean: readonly number[]
  readonly std: readonly number[]
  /** Whether it normalizes whatever the file says. */
  readonly normalizes?: 'never'
  /** Transparency becomes white. */
  readonly onWhite?: true
  /** Values are rescaled before the picture is resized, so that nothing is rounded to bytes. */
  readonly rescalesFirst?: true
  /** The picture is made larger than `size`: by this factor, or by the file's `crop_pct`, of which this is the default. */
  readonly enlarges?: { readonly by: number } | { readonly cropPct: number }
  /** Below 384 the middle is cut out of the enlarged picture; from there on it is squeezed into the square. */
  readonly squeezesFrom384?: true
  /** Keys that only this class has, and what they are where they are missing. */
  readonly own?: {
    readonly rescale_offset?: boolean
    readonly include_top?: boolean
    readonly do_flip_channel_order?: boolean
  }
  /** Values of `model_type` whose files need not name the class. */
  readonly modelTypes: readonly string[]
}

const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
const clip = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
}
const square = (side: number) => ({ height: side, width: side })
const shortest = (edge: number) => ({ size: { shortest_edge: edge }, defaultToSquare: false }) as const
const [BILINEAR, BICUBIC] = [2, 3]

const clipLike = { ...shortest(224), resample: BICUBIC, cropSize: 224, ...clip, onWhite: true } as const

/** Image processors of `transformers` 5, by the names of their classes. */
export const imageProcessors = {
  ViT: {
    size: square(224),
    resample: BILINEAR,
    ...half,
    modelTypes: ['vit', 'vit_msn', 'swin', 'swinv2', 'ijepa', 'dinat', 'swiftformer'],
  },
  DeiT: { size: square(256), resample: BICUBIC, cropSize: 224, ...half, modelTypes: ['deit'] },
  Beit: {
    size: square(224),
    resample: BICUBIC,
    cropSize: 224,
    crops: false,
    ...half,
    modelTypes: ['beit', 'data2vec-vision'],
  },
  Bit: { ...clipLike, modelTypes: ['bit', 'dinov2', 'dinov2_with_registers', 'focalnet', 'hiera'] },
  CLIP: { ...clipLike, modelTypes: ['clip', 'metaclip_2'] },
  ChineseCLIP: { ...clipLike, modelTypes: [] },
  Blip: { size: square(384), resample: BICUBIC, ...clip, onWhite: true, modelTypes: [] },
  Siglip: {
    size: square(224),
    defaultToSquare: false,
    resample: BICUBIC,
    ...half,
    onWhite: true,
    modelTypes: ['siglip'],
  },
  ConvNext: {
    ...shortest(384),
    resample: BICUBIC,
    ...half,
    enlarges: { cropPct: 224 / 256 },
    squeezesFrom384: true,
    modelTypes: ['convnext', 'convnextv2', 'cvt', 'regnet', 'resnet'],
  },
  PoolFormer: {
    ...shortest(224),
    resample: BICUBIC,
    cropSize: 224,
    ...imageNet,
    enlarges: { cropPct: 0.9 },
    modelTypes: ['poolformer'],
  },
  Levit: {
    ...shortest(224),
    resample: BICUBIC,
    cropSize: 224,
    ...imageNet,
    enlarges: { by: 256 / 224 },
    modelTypes: ['levit'],
  },
  Pvt: { size: square(224), resample: BICUBIC, ...imageNet, modelTypes: ['pvt', 'pvt_v2'] },
  Segformer: {
    size: square(512),
    resample: BILINEAR,
    crops: 'never',
    ...imageNet,
    modelTypes: ['segformer'],
  },
  DINOv3ViT: {
    size: square(224),
    resample: BILINEAR,
    ...imageNet,
    rescalesFirst: true,
    modelTypes: ['dinov3_vit', 'dinov3_convnext'],
  },
  EfficientNet: {
    size: square(346),
    resample: BICUBIC,
    cropSize: 289,
    crops: false,
    ...half,
    own: { rescale_offset: false, include_top: true },
    modelTypes: ['efficientnet'],
  },
  MobileNetV1: {
    ...shortest(256),
    resample: BILINEAR,
    cropSize: 224,
    ...half,
    modelTypes: ['mobilenet_v1'],
  },
  MobileNetV2: {
    ...shortest(256),
    resample: BILINEAR,
    cropSize: 224,
    ...half,
    modelTypes: ['mobilenet_v2'],
  },
  MobileViT: {
    ...shortest(224),
    resample: BICUBIC,
    cropSize: 256,
    ...half,
    normalizes: 'never',
    own: { do_flip_channel_order: true },
    modelTypes: ['mobilevit', 'mobilevitv2'],
  },
} satisfies Readonly<Record<string, ImageProcessor>>

const byName: Readonly<Record<string, ImageProcessor>> = imageProcessors

/** Values of `model_type` whose image processors are not supported. */
const otherModelTypes = [
  'donut-swin',
  'imagegpt',
  'perceiver',
  'pp_lcnet',
  'shieldgemma2',
  'siglip2',
  'textnet',
]

/**
 * The image processor that a preprocessor_config.json names, or else that of the model's type, or else ViT's.
 *
 * @param type as in the file; `…FeatureExtractor` of older versions, and `…Fast`, too.
 * @param file its name, for messages.
 * @throws InputError if it is not known: it may do anything.
 */
export function imageProcessorOf(
  type: string | undefined,
  modelType: string | undefined,
  file: string,
): ImageProcessor {
  if (type === undefined) {
    if (modelType !== undefined && otherModelTypes.includes(modelType))
      throw new InputError(`${file}: the image processor of ${quote(modelType)} models is not supported`)
    return ofModelType(modelType) ?? imageProcessors.ViT
  }
  const name = type.replace(/(ImageProcessor|FeatureExtractor)(Fast|Pil)?$/, '')
  const found = Object.hasOwn(byName, name) ? byName[name] : undefined
  if (found) return found
  throw new InputError(
    `${file}: the image processor ${quote(type)} is not supported (${Object.keys(byName).join(', ')} are): ` +
      'if another of these does the same, name that one',
  )
}

/** The class that a preprocessor_config.json of such a model has if it names none. */
export function imageProcessorClass(modelType: string | undefined): string {
  const processor = ofModelType(modelType)
  const found = Object.keys(byName).find(name => byName[name] === processor) ?? 'ViT'
  return `${found}ImageProcessor`
}

function ofModelType(modelType: string | undefined): ImageProcessor | undefined {
  return Object.values(byName).find(({ modelTypes }) => modelType && modelTypes.includes(modelType))
}
