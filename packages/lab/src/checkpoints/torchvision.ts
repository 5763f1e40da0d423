import { InputError } from 'onnxgrad'
import type { CheckpointTensor, CheckpointTensors } from './checkpoint-tensor.js'
import type { PlainObject } from './configuration.js'
import { exportFromPython } from './export-hint.js'
import { third } from './timm-tensors.js'

/** A checkpoint in the names of Hugging Face, with what its tensors tell of it in the keys of a config.json. */
export interface Named {
  readonly config: PlainObject
  readonly tensors: CheckpointTensors
}

/** Whether tensors have the names of torchvision's ViT. */
export function isTorchvisionViT(tensors: CheckpointTensors): boolean {
  return (
    tensors.has('class_token') && tensors.has('encoder.layers.encoder_layer_0.self_attention.in_proj_weight')
  )
}

/** Whether tensors have the names of torchvision's Swin Transformers, of the first or the second version. */
export function isTorchvisionSwin(tensors: CheckpointTensors): boolean {
  return tensors.has('features.0.0.weight') && tensors.has('features.1.0.attn.qkv.weight')
}

/**
 * torchvision's ViT (`vit_b_16` and the like) as a `vit`. The number of heads is in no tensor: it is not among the keys
 * that are returned.
 * @param file its name, for messages.
 * @throws InputError if a shape is not that of a ViT.
 */
export function fromTorchvisionViT(tensors: CheckpointTensors, file: string): Named {
  const shape = shapesOf(tensors, file, 'ViT')
  const [, positions, hidden_size] = shape('encoder.pos_embedding', 3) as [number, number, number]
  const patch_size = shape('conv_proj.weight', 4)[3]!
  const side = Math.sqrt(positions - 1)
  if (!Number.isInteger(side))
    throw new InputError(`${file}: ${positions} positions are not a square of patches and a class token`)
  const block = (i: number) => `encoder.layers.encoder_layer_${i}`
  // Releases before 0.12 named the layers of the MLP.
  const wide = tensors.has(`${block(0)}.mlp.linear_1.weight`) ? 'linear_1' : '0'
  return {
    config: {
      model_type: 'vit',
      image_size: side * patch_size,
      patch_size,
      hidden_size,
      num_hidden_layers: countWhile(i => tensors.has(`${block(i)}.ln_1.weight`)),
      intermediate_size: shape(`${block(0)}.mlp.${wide}.weight`, 2)[0]!,
      hidden_act: 'gelu',
      layer_norm_eps: 1e-6,
    },
    tensors: renamed(tensors, vitName),
  }
}

const vitOutside: Readonly<Record<string, string>> = {
  class_token: 'vit.embeddings.cls_token',
  'encoder.pos_embedding': 'vit.embeddings.position_embeddings',
  conv_proj: 'vit.embeddings.patch_embeddings.projection',
  'encoder.ln': 'vit.layernorm',
  'heads.head': 'classifier',
}
const vitParts: Readonly<Record<string, string>> = {
  ln_1: 'layernorm_before',
  ln_2: 'layernorm_after',
  'self_attention.out_proj': 'attention.output.dense',
  'mlp.0': 'intermediate.dense',
  'mlp.linear_1': 'intermediate.dense',
  'mlp.3': 'output.dense',
  'mlp.linear_2': 'output.dense',
}

function vitName(stem: string, suffix: string): string | readonly string[] | undefined {
  const block = /^encoder\.layers\.encoder_layer_(\d+)\.(.+)$/.exec(stem)
  if (!block) return known(vitOutside, stem, suffix)
  const layer = `vit.encoder.layer.${block[1]}`
  const joint = /^self_attention\.in_proj_(weight|bias)$/.exec(block[2]!)?.[1]
  if (joint) return projections(`${layer}.attention.attention`, `.${joint}`)
  const part = known(vitParts, block[2]!, suffix)
  return part && `${layer}.${part}`
}

/**
 * torchvision's Swin Transformer (`swin_t` and the like) as a `swin`. The image's size is in no tensor: it is not among
 * the keys that are returned.
 * @param file its name, for messages.
 * @throws InputError if a shape is not that of a Swin Transformer, or it is of the second version.
 */
export function fromTorchvisionSwin(tensors: CheckpointTensors, file: string): Named {
  if (tensors.has('features.1.0.attn.logit_scale'))
    throw new InputError(`${file} is a Swin Transformer V2, which is not supported; ${exportFromPython}`)
  const shape = shapesOf(tensors, file, 'Swin Transformer')
  const [embed_dim, , , patch_size] = shape('features.0.0.weight', 4) as [number, number, number, number]
  const table = (stage: number) => shape(`features.${2 * stage + 1}.0.attn.relative_position_bias_table`, 2)
  const stages = countWhile(i => tensors.has(`features.${2 * i + 1}.0.norm1.weight`))
  const each = <T>(of: (stage: number) => T) => Array.from({ length: stages }, (_, stage) => of(stage))
  return {
    config: {
      model_type: 'swin',
      patch_size,
      embed_dim,
      depths: each(stage => countWhile(i => tensors.has(`features.${2 * stage + 1}.${i}.norm1.weight`))),
      num_heads: each(stage => table(stage)[1]!),
      window_size: (Math.sqrt(table(0)[0]!) + 1) / 2,
      mlp_ratio: shape('features.1.0.mlp.0.weight', 2)[0]! / embed_dim,
      qkv_bias: tensors.has('features.1.0.attn.qkv.bias'),
      hidden_act: 'gelu',
      layer_norm_eps: 1e-5,
    },
    tensors: renamed(tensors, swinName),
  }
}

const swinOutside: Readonly<Record<string, string>> = {
  'features.0.0': 'swin.embeddings.patch_embeddings.projection',
  'features.0.2': 'swin.embeddings.norm',
  norm: 'swin.layernorm',
  head: 'classifier',
}
const swinParts: Readonly<Record<string, string>> = {
  norm1: 'layernorm_before',
  norm2: 'layernorm_after',
  'attn.relative_position_bias_table': 'attention.self.relative_position_bias_table',
  'attn.relative_position_index': 'attention.self.relative_position_index',
  'attn.proj': 'attention.output.dense',
  'mlp.0': 'intermediate.dense',
  'mlp.3': 'output.dense',
}

function swinName(stem: string, suffix: string): string | readonly string[] | undefined {
  const place = /^features\.(\d+)\.(.+)$/.exec(stem)
  const feature = Number(place?.[1] ?? 0)
  if (!place || feature === 0) return known(swinOutside, stem, suffix)
  const rest = place[2]!
  if (feature % 2 === 0) {
    const stage = `swin.encoder.layers.${feature / 2 - 1}.downsample`
    return rest === 'reduction' || rest === 'norm' ? `${stage}.${rest}${suffix}` : undefined
  }
  const [, index, part] = /^(\d+)\.(.+)$/.exec(rest) ?? []
  if (part === undefined) return undefined
  const block = `swin.encoder.layers.${(feature - 1) / 2}.blocks.${index}`
  if (part === 'attn.qkv') return projections(`${block}.attention.self`, suffix)
  const name = known(swinParts, part, suffix)
  return name && `${block}.${name}`
}

const projections = (prefix: string, suffix: string) =>
  ['query', 'key', 'value'].map(part => `${prefix}.${part}${suffix}`)

function known(names: Readonly<Record<string, string>>, stem: string, suffix: string): string | undefined {
  return Object.hasOwn(names, stem) ? `${names[stem]}${suffix}` : undefined
}

/** Tensors under other names; one that becomes three is cut along its first axis, an unknown one keeps its name. */
function renamed(
  tensors: CheckpointTensors,
  nameOf: (stem: string, suffix: string) => string | readonly string[] | undefined,
): CheckpointTensors {
  return new Map(
    [...tensors].flatMap(([name, tensor]): [string, CheckpointTensor][] => {
      const suffix = /\.(weight|bias)$/.exec(name)?.[0] ?? ''
      const now = nameOf(name.slice(0, name.length - suffix.length), suffix) ?? name
      return typeof now === 'string' ? [[now, tensor]] : now.map((part, i) => [part, third(tensor, i)])
    }),
  )
}

/** The shape of a tensor by name; throws InputError if it is missing or of another rank. */
function shapesOf(tensors: CheckpointTensors, file: string, kind: string) {
  return (name: string, rank: number): readonly number[] => {
    const shape = tensors.get(name)?.shape
    if (shape?.length === rank) return shape
    const what = shape ? `one of ${shape.length} dimensions` : 'none'
    throw new InputError(
      `${file}: a ${kind} of torchvision has a tensor '${name}' of ${rank} dimensions, and here is ${what}`,
    )
  }
}

function countWhile(holds: (i: number) => boolean): number {
  let count = 0
  while (holds(count)) count++
  return count
}
