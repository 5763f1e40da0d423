import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { PlainObject } from './configuration.js'
import { checkJson } from './read-json.js'
import { quote } from './safetensors-format.js'
import { timmInputSide, timmPictures, timmPreprocessing } from './timm-preprocessing.js'
import type { CheckpointTensor, CheckpointTensors } from './weights.js'

/** Plain ViTs and DeiTs; every other word in a name stands for a part that they do not have. */
const plainName =
  /^(vit|deit)_(?<size>[a-z]+)(_distilled)?_patch\d+_\d+(_in21k|_miil|_miil_in21k|_dino|_sam|_mae)?$/

/** Arguments that the shapes of the tensors tell, or that matter in training alone. */
const readArguments = [
  ...['img_size', 'patch_size', 'in_chans', 'num_classes', 'embed_dim', 'depth', 'mlp_ratio', 'qkv_bias'],
  ...['num_heads', 'global_pool', 'class_token', 'dynamic_img_size', 'strict_img_size', 'weight_init'],
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
 * A ViT or DeiT of timm (https://github.com/huggingface/pytorch-image-models) in the terms of Hugging Face. Sizes are
 * those of the tensors; only the number of heads has to come from `model_args` or the architecture's name.
 *
 * @throws InputError if it is another architecture, or a variant with parts that these two do not have.
 */
export function fromTimm(config: PlainObject, stored: CheckpointTensors, folder: string) {
  const tensors = unwrapped(stored)
  const file = `${folder}/config.json`
  const timm = checkJson(inPresentForm(config), timmConfig, file)
  const size = plainName.exec(timm.architecture)?.groups?.size
  if (size === undefined) {
    throw new InputError(
      `${file}: architecture ${quote(timm.architecture)} is not supported: of timm's models only plain ViTs and ` +
        'DeiTs are, such as vit_base_patch16_224 and deit_tiny_distilled_patch16_224',
    )
  }
  assertPlain(timm, file)
  const model_type = tensors.has('dist_token') ? 'deit' : 'vit'
  const shapes = shapesOf(tensors, model_type === 'deit' ? 2 : 1, folder)
  assertSquare(timm, shapes.image_size, file)
  return {
    config: {
      model_type,
      ...(model_type === 'deit' && { architectures: ['DeiTForImageClassificationWithTeacher'] }),
      ...shapes,
      num_attention_heads: headsOf(timm, size, shapes.hidden_size, file),
      hidden_act: 'gelu',
      layer_norm_eps: 1e-6,
      ...timmLabels(timm, file),
      problem_type: config.problem_type,
      ageb: config.ageb,
    },
    preprocessing: timmPreprocessing(timm.pretrained_cfg, shapes.image_size, file),
    tensors: new Map([...tensors].flatMap(([name, tensor]) => renamed(name, tensor, model_type))),
  }
}

/** `transformers` puts a prefix before the names of a timm model that it wraps. */
function unwrapped(tensors: CheckpointTensors): CheckpointTensors {
  const prefix = 'timm_model.'
  if (![...tensors.keys()].every(name => name.startsWith(prefix))) return tensors
  return new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]))
}

function assertPlain({ architecture, global_pool, model_args }: TimmConfig, file: string): void {
  const odd = Object.keys(model_args).find(key => !readArguments.includes(key))
  const pool = model_args.global_pool ?? global_pool ?? 'token'
  if (odd === undefined && pool === 'token') return
  const setting = odd === undefined ? `global_pool ${quote(pool)}` : `model_args ${quote(odd)}`
  throw new InputError(
    `${file}: ${architecture} with ${setting} is not supported: only plain ViTs and DeiTs are`,
  )
}

/** The tensors do not tell 2 × 8 patches from 4 × 4, so that the configuration has to. */
function assertSquare({ model_args, pretrained_cfg }: TimmConfig, side: number, file: string): void {
  const { img_size } = model_args
  const [height, width] = typeof img_size === 'number' ? [img_size, img_size] : (img_size ?? [])
  if (height !== width)
    throw new InputError(`${file}: 'img_size' is ${height}×${width}, and only squares are supported`)
  const input = timmInputSide(pretrained_cfg, file)
  const configured = height ?? input ?? side
  if (configured === side) return
  throw new InputError(
    `${file} says that images are ${configured}×${configured}, but the position embeddings are of ${side}×${side}: ` +
      'they would have to be interpolated, which is not supported',
  )
}

function shapesOf(tensors: CheckpointTensors, leading: number, folder: string) {
  const shape = (name: string, rank: number): readonly number[] => {
    const tensor = tensors.get(name)
    if (tensor?.shape.length === rank) return tensor.shape
    const what = tensor ? `one of ${tensor.shape.length} dimensions` : 'none'
    throw new InputError(
      `${folder}: a ViT of timm has a tensor '${name}' of ${rank} dimensions, and here is ${what}`,
    )
  }
  const [, tokens, hidden_size] = shape('pos_embed', 3) as [number, number, number]
  const [, , patchHeight, patch_size] = shape('patch_embed.proj.weight', 4) as [
    number,
    number,
    number,
    number,
  ]
  if (patchHeight !== patch_size)
    throw new InputError(
      `${folder}: patches are ${patchHeight}×${patch_size}, and only squares are supported`,
    )
  const side = Math.sqrt(tokens - leading)
  if (!Number.isInteger(side)) {
    throw new InputError(
      `${folder}: 'pos_embed' has ${tokens} positions, which are not a square of patches and ${leading} more: ` +
        'this variant is not supported',
    )
  }
  let num_hidden_layers = 0
  while (tensors.has(`blocks.${num_hidden_layers}.attn.qkv.weight`)) num_hidden_layers++
  return {
    image_size: side * patch_size,
    patch_size,
    hidden_size,
    num_hidden_layers,
    intermediate_size: shape('blocks.0.mlp.fc1.weight', 2)[0]!,
    qkv_bias: tensors.has('blocks.0.attn.qkv.bias'),
  }
}

/** Sizes whose heads are not 64 wide all have 16. */
const SIXTEEN_HEADS = ['huge', 'giant', 'gigantic']

function headsOf(
  { model_args, architecture }: TimmConfig,
  size: string,
  width: number,
  file: string,
): number {
  const heads = model_args.num_heads ?? (SIXTEEN_HEADS.includes(size) ? 16 : width / 64)
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

const parts: Readonly<Record<string, string>> = {
  norm1: 'layernorm_before',
  norm2: 'layernorm_after',
  'attn.proj': 'attention.output.dense',
  'mlp.fc1': 'intermediate.dense',
  'mlp.fc2': 'output.dense',
}

/** A tensor under Hugging Face's names; queries, keys and values, which timm has in one, as three. */
function renamed(
  name: string,
  tensor: CheckpointTensor,
  model: 'vit' | 'deit',
): [string, CheckpointTensor][] {
  const outside: Readonly<Record<string, string>> = {
    cls_token: `${model}.embeddings.cls_token`,
    dist_token: `${model}.embeddings.distillation_token`,
    pos_embed: `${model}.embeddings.position_embeddings`,
    'patch_embed.proj': `${model}.embeddings.patch_embeddings.projection`,
    norm: `${model}.layernorm`,
    head: model === 'deit' ? 'cls_classifier' : 'classifier',
    head_dist: 'distillation_classifier',
  }
  const suffix = /\.(weight|bias)$/.exec(name)?.[0] ?? ''
  const stem = name.slice(0, name.length - suffix.length)
  const block = /^blocks\.(\d+)\.(.+)$/.exec(stem)
  if (!block) {
    const known = Object.hasOwn(outside, stem) ? outside[stem] : undefined
    return [[known === undefined ? name : `${known}${suffix}`, tensor]]
  }
  const [, index, part] = block as unknown as [string, string, string]
  const layer = `${model}.encoder.layer.${index}`
  if (part === 'attn.qkv') {
    return ['query', 'key', 'value'].map((projection, i) => [
      `${layer}.attention.attention.${projection}${suffix}`,
      third(tensor, i),
    ])
  }
  const known = Object.hasOwn(parts, part) ? parts[part] : undefined
  return [[known === undefined ? name : `${layer}.${known}${suffix}`, tensor]]
}

/** One of three equal parts of a tensor along its first axis. */
function third(tensor: CheckpointTensor, index: number): CheckpointTensor {
  const [rows = 0, ...rest] = tensor.shape
  return {
    ...tensor,
    shape: [rows / 3, ...rest],
    read() {
      const whole = tensor.read()
      const size = whole.data.length / 3
      return { ...whole, data: whole.data.subarray(index * size, (index + 1) * size) } as typeof whole
    },
  }
}
