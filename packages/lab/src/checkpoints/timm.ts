import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { CheckpointTensors } from './checkpoint-tensor.js'
import type { PlainObject } from './configuration.js'
import { preprocessingOf, preprocessorFile } from './preprocessing.js'
import { checkJson } from './read-json.js'
import { quote } from './safetensors-format.js'
import { fromTimmNames, type TimmPooling, timmShapes } from './timm-tensors.js'

/** Numbers of `resample` in a preprocessor_config.json: those of Pillow. */
const resample = { nearest: 0, lanczos: 1, bilinear: 2, bicubic: 3, box: 4, hamming: 5 } as const
type Interpolation = keyof typeof resample

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
const channels = (ofImageNet: number[]) => z.array(z.number()).length(3).default(ofImageNet)
const timmConfig = z.object({
  architecture: z.string().max(200),
  num_classes: z.int().min(0).optional(),
  global_pool: z.string().optional(),
  label_names: z.array(z.string()).optional(),
  model_args: z.record(z.string(), z.unknown()).default({}),
  pretrained_cfg: z
    .object({
      num_classes: z.int().min(0).optional(),
      input_size: z.tuple([z.literal(3), pixels, pixels]).optional(),
      label_names: z.array(z.string()).optional(),
      interpolation: z.enum(Object.keys(resample) as [Interpolation]).default('bicubic'),
      crop_pct: z.number().positive().max(1).default(0.875),
      crop_mode: z.enum(['center', 'squash']).default('center'),
      mean: channels([0.485, 0.456, 0.406]),
      std: channels([0.229, 0.224, 0.225]),
    })
    .prefault({}),
})
type TimmConfig = z.infer<typeof timmConfig>

/** Whether a config.json is of timm. */
export function isTimm(config: PlainObject): boolean {
  return 'architecture' in config && !('model_type' in config)
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
  const timm = checkJson(config, timmConfig, file)
  if (!known.test(timm.architecture)) {
    throw new InputError(
      `${file}: architecture ${quote(timm.architecture)} is not supported: of timm's models only ViTs and DeiTs are, ` +
        'such as vit_base_patch16_224, vit_small_patch14_reg4_dinov2 and deit_tiny_distilled_patch16_224',
    )
  }
  const pooling = poolingOf(timm, file)
  const imageSize = imageSizeOf(timm)
  const shapes = timmShapes(tensors, folder, { pooling, imageSize })
  return {
    config: {
      ...shapes,
      num_attention_heads: headsOf(timm, shapes.hidden_size, file),
      ...labelsOf(timm, file),
      ageb: config.ageb,
    },
    // timm resizes with Pillow.
    preprocessing: {
      ...preprocessingOf(preprocessorFile.parse(preprocessor(timm, shapes.image_size)), file),
      arithmetic: 'pillow' as const,
    },
    tensors: fromTimmNames(tensors, shapes),
  }
}

function poolingOf({ architecture, global_pool, model_args }: TimmConfig, file: string): TimmPooling {
  const odd = Object.keys(model_args).find(key => !readArguments.includes(key))
  const byName = /_gap_/.test(architecture) ? 'avg' : 'token'
  const pool = model_args.global_pool ?? global_pool ?? byName
  if (odd === undefined && (pool === 'token' || pool === 'avg')) return pool
  const setting = odd === undefined ? `global_pool ${quote(pool)}` : `model_args ${quote(odd)}`
  throw new InputError(`${file}: ${architecture} with ${setting} is not supported`)
}

function imageSizeOf({ model_args, pretrained_cfg }: TimmConfig): number | undefined {
  const { img_size } = model_args
  const [height] = Array.isArray(img_size) ? img_size : [img_size]
  return typeof height === 'number' ? height : pretrained_cfg.input_size?.[1]
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

function labelsOf({ num_classes, label_names, pretrained_cfg }: TimmConfig, file: string) {
  const num_labels = num_classes ?? pretrained_cfg.num_classes ?? 1000
  const names = label_names ?? pretrained_cfg.label_names
  if (names && names.length !== num_labels)
    throw new InputError(`${file}: label_names has ${names.length} names for ${num_labels} classes`)
  // Of no classes: the file has no head, and nothing is to be named.
  if (num_labels === 0) return {}
  return names ? { id2label: Object.fromEntries(names.map((name, i) => [i, name])) } : { num_labels }
}

/** timm's way of evaluating: the shorter side to size / crop_pct, then the centre; `squash` keeps no proportions. */
function preprocessor({ pretrained_cfg: c }: TimmConfig, side: number) {
  const resized = Math.floor(side / c.crop_pct)
  return {
    image_processor_type: 'ViTImageProcessor',
    do_resize: true,
    size: c.crop_mode === 'center' ? { shortest_edge: resized } : { height: resized, width: resized },
    resample: resample[c.interpolation],
    do_center_crop: true,
    crop_size: { height: side, width: side },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: c.mean,
    image_std: c.std,
  }
}
