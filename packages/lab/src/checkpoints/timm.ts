import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { CheckpointTensors } from './checkpoint-tensor.js'
import type { PlainObject } from './configuration.js'
import { exportFromTimm } from './export-hint.js'
import { checkJson } from './read-json.js'
import { quote } from './safetensors-format.js'
import { timmInputSide, timmPictures, timmPreprocessing } from './timm-preprocessing.js'
import { fromTimmNames, type TimmPooling, timmShapes } from './timm-tensors.js'

/**
 * ViTs, DeiTs and DeiT-IIIs, with registers (`reg4`), average pooling (`gap`), or as DINOv2 has them; every other word
 * in a name stands for a part that is not known here.
 */
const known =
  /^(vit|deit|deit3)_[a-z]+(_distilled)?_patch\d+(_reg\d+)?(_gap)?_(\d+|dinov2)(_in21k|_in21ft1k|_miil|_miil_in21k|_dino|_sam|_mae)?$/

/** Arguments that the shapes of the tensors tell, or that matter in training alone. */
const readArguments = [
  ...['img_size', 'patch_size', 'in_chans', 'num_classes', 'embed_dim', 'depth', 'mlp_ratio', 'qkv_bias'],
  ...['num_heads', 'global_pool', 'class_token', 'dynamic_img_size', 'strict_img_size', 'weight_init'],
  ...['init_values', 'reg_tokens', 'no_embed_class', 'fc_norm'],
  ...['drop_rate', 'pos_drop_rate', 'patch_drop_rate', 'proj_drop_rate', 'attn_drop_rate', 'drop_path_rate'],
]

const pixels = z.int().positive()
/** What is read of timm's config.json whatever the architecture. */
export const timmCommon = z.object({
  num_classes: z.int().min(0).optional(),
  label_names: z.array(z.string()).optional(),
  pretrained_cfg: timmPictures
    .extend({ num_classes: z.int().min(0).optional(), label_names: z.array(z.string()).optional() })
    .prefault({}),
})
const timmConfig = timmCommon.extend({
  architecture: z.string().max(200),
  global_pool: z.string().optional(),
  model_args: z.looseObject({ img_size: z.union([pixels, z.tuple([pixels, pixels])]).nullish() }).default({}),
})
type TimmConfig = z.infer<typeof timmConfig>

/** Whether a config.json is of timm, by itself or wrapped by `transformers`. */
export function isTimm(config: PlainObject): boolean {
  return 'architecture' in config && (!('model_type' in config) || config.model_type === 'timm_wrapper')
}

/** Older versions of timm write the keys of `pretrained_cfg` beside the architecture. */
export function inPresentForm(config: PlainObject): PlainObject {
  return 'pretrained_cfg' in config ? config : { ...config, pretrained_cfg: config }
}

/**
 * A ViT or DeiT of timm (https://github.com/huggingface/pytorch-image-models) in the terms of Hugging Face. Sizes and
 * parts are those of the tensors; the number of heads has to come from `model_args` or the architecture's name, and the
 * pooling from there or `global_pool`.
 *
 * @throws InputError if it is another architecture, or has parts that are not known.
 */
export function fromTimm(config: PlainObject, tensors: CheckpointTensors, folder: string) {
  const file = `${folder}/config.json`
  const timm = checkJson(inPresentForm(config), timmConfig, file)
  if (!known.test(timm.architecture)) {
    throw new InputError(
      `${file}: architecture ${quote(timm.architecture)} is not supported, of timm's models only ViTs and DeiTs are; ` +
        exportFromTimm(folder, timm.pretrained_cfg.input_size?.[1] ?? 224),
    )
  }
  const pooling = poolingOf(timm, folder)
  const configured = configuredSide(timm, file)
  const shapes = timmShapes(tensors, folder, { pooling, imageSize: configured })
  const { image_size: side } = shapes
  if (configured !== undefined && configured !== side) {
    throw new InputError(
      `${file} says that images are ${configured}×${configured}, but the position embeddings are of ${side}×${side}: ` +
        'they would have to be interpolated, which is not supported',
    )
  }
  return {
    config: {
      ...shapes,
      num_attention_heads: headsOf(timm, shapes.hidden_size, file),
      ...timmLabels(timm, file),
      problem_type: config.problem_type,
      ageb: config.ageb,
    },
    preprocessing: timmPreprocessing(timm.pretrained_cfg, side, file),
    tensors: fromTimmNames(tensors, shapes),
  }
}

function poolingOf(timm: TimmConfig, folder: string): TimmPooling {
  const { architecture, global_pool, model_args, pretrained_cfg } = timm
  const odd = Object.keys(model_args).find(key => !readArguments.includes(key))
  const byName = /_gap_/.test(architecture) ? 'avg' : 'token'
  const pool = model_args.global_pool ?? global_pool ?? byName
  if (odd === undefined && (pool === 'token' || pool === 'avg')) return pool
  const setting = odd === undefined ? `global_pool ${quote(pool)}` : `model_args ${quote(odd)}`
  throw new InputError(
    `${folder}/config.json: ${architecture} with ${setting} is not supported; ` +
      exportFromTimm(folder, pretrained_cfg.input_size?.[1] ?? 224),
  )
}

/**
 * The side of the images; undefined if the configuration does not say it. The tensors do not tell 2 × 8 patches from
 * 4 × 4, so that it has to.
 */
function configuredSide({ model_args, pretrained_cfg }: TimmConfig, file: string): number | undefined {
  const { img_size } = model_args
  const [height, width] = typeof img_size === 'number' ? [img_size, img_size] : (img_size ?? [])
  if (height !== width)
    throw new InputError(`${file}: 'img_size' is ${height}×${width}, and only squares are supported`)
  const input = timmInputSide(pretrained_cfg, file)
  return height ?? input
}

/** What has 16 heads, whatever their width; DINOv2's giant is not among them. */
const sixteenHeads = /^(vit_base_patch16_gap|(vit|deit3)_(huge|giant|gigantic)_.*(?<!dinov2)$)/

function headsOf({ model_args, architecture }: TimmConfig, width: number, file: string): number {
  const heads = model_args.num_heads ?? (sixteenHeads.test(architecture) ? 16 : width / 64)
  if (Number.isInteger(heads)) return heads as number
  throw new InputError(
    `${file}: the number of heads of ${architecture} with width ${width} is not known: give it as model_args.num_heads`,
  )
}

/** Classes in the terms of Hugging Face. Throws InputError if they are not as many as their names. */
export function timmLabels(
  { num_classes, label_names, pretrained_cfg }: z.infer<typeof timmCommon>,
  file: string,
) {
  const num_labels = num_classes ?? pretrained_cfg.num_classes ?? 1000
  const names = label_names ?? pretrained_cfg.label_names
  if (names && names.length !== num_labels)
    throw new InputError(`${file}: label_names has ${names.length} names for ${num_labels} classes`)
  // Of no classes: the file has no head, and nothing is to be named.
  if (num_labels === 0) return {}
  return names ? { id2label: Object.fromEntries(names.map((name, i) => [i, name])) } : { num_labels }
}
