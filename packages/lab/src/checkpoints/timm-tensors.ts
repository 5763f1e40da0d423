import { InputError } from 'onnxgrad'
import type { CheckpointTensor, CheckpointTensors } from './checkpoint-tensor.js'

/** What the tensors of a ViT of timm, or of DINOv2's own code, tell of it, in the keys of Hugging Face. */
export interface TimmShapes {
  readonly model_type: 'vit' | 'deit' | 'timm_vit' | 'dinov2' | 'dinov2_with_registers'
  readonly image_size: number
  readonly patch_size: number
  readonly hidden_size: number
  readonly num_hidden_layers: number
  readonly [key: string]: unknown
}

/** How the head reads the tokens, as far as the tensors do not tell; `avg` is the mean of the patches. */
export type TimmPooling = 'token' | 'avg'

/** Whether tensors have the names of timm's ViTs. */
export function isTimmNamed(tensors: CheckpointTensors): boolean {
  return ['pos_embed', 'patch_embed.proj.weight', 'blocks.0.attn.qkv.weight'].every(name => tensors.has(name))
}

/**
 * The sizes of a ViT of timm, its kind and its optional parts.
 *
 * @param folder its name, for messages.
 * @param pooling default: that of the class token, where there is one and no `fc_norm`.
 * @param imageSize as far as it is known, pixels; it decides where the number of positions leaves a choice.
 * @throws InputError if the shapes are not those of a ViT.
 */
export function timmShapes(
  tensors: CheckpointTensors,
  folder: string,
  { pooling, imageSize }: { pooling?: TimmPooling | undefined; imageSize?: number | undefined } = {},
): TimmShapes {
  const shape = (name: string, rank: number): readonly number[] => {
    const tensor = tensors.get(name)
    if (tensor?.shape.length === rank) return tensor.shape
    const what = tensor ? `one of ${tensor.shape.length} dimensions` : 'none'
    throw new InputError(
      `${folder}: a ViT of timm has a tensor '${name}' of ${rank} dimensions, and here is ${what}`,
    )
  }
  const [, positions, hidden_size] = shape('pos_embed', 3) as [number, number, number]
  const [height, patch_size] = shape('patch_embed.proj.weight', 4).slice(2) as [number, number]
  if (height !== patch_size)
    throw new InputError(`${folder}: patches are ${height}×${patch_size}, and only squares are supported`)
  // What DINOv2's own code saves has a mask token, and its registers have no positions.
  const isDino = tensors.has('mask_token')
  const registerName = ['reg_token', 'register_tokens'].find(name => tensors.has(name))
  const registers = registerName === undefined ? 0 : shape(registerName, 3)[1]!
  const leading = ['cls_token', 'dist_token'].filter(name => tensors.has(name)).length + registers
  const isDeit = tensors.has('dist_token')
  const possible = isDeit ? [leading] : isDino ? [1] : [...new Set([leading, 0])]
  const square = possible.filter(count => isSquare(positions - count))
  const positioned =
    square.length > 1
      ? square.find(count => Math.sqrt(positions - count) * patch_size === imageSize)
      : square[0]
  if (positioned === undefined) {
    throw new InputError(
      `${folder}: 'pos_embed' has ${positions} positions, which are not a square of patches` +
        (leading > 0 ? ` and ${possible[0]} more` : '') +
        (square.length > 1
          ? ' in one way only: give model_args.img_size'
          : ': this variant is not supported'),
    )
  }
  let num_hidden_layers = 0
  while (tensors.has(`blocks.${num_hidden_layers}.attn.qkv.weight`)) num_hidden_layers++
  const [wide, narrow] = tensors.has('blocks.0.mlp.w12.weight') ? ['w12', 'w3'] : ['fc1', 'fc2']
  const outputs = shape(`blocks.0.mlp.${wide}.weight`, 2)[0]!
  const intermediate_size = shape(`blocks.0.mlp.${narrow}.weight`, 2)[1]!
  const sizes = {
    image_size: Math.sqrt(positions - positioned) * patch_size,
    patch_size,
    hidden_size,
    num_hidden_layers,
    qkv_bias: tensors.has('blocks.0.attn.qkv.bias'),
    hidden_act: 'gelu',
    layer_norm_eps: 1e-6,
  }
  const use_swiglu_ffn = outputs === 2 * intermediate_size
  if (isDino) {
    return {
      model_type: registers > 0 ? 'dinov2_with_registers' : 'dinov2',
      ...sizes,
      mlp_ratio: use_swiglu_ffn ? 4 : intermediate_size / hidden_size,
      use_swiglu_ffn,
      ...(registers > 0 && { num_register_tokens: registers }),
    }
  }
  const class_token = tensors.has('cls_token')
  const pools = pooling ?? (class_token && !tensors.has('fc_norm.weight') ? 'token' : 'avg')
  const scaled = tensors.has('blocks.0.ls1.gamma')
  if (isDeit && pools === 'avg')
    throw new InputError(`${folder}: a distilled DeiT with average pooling is not supported`)
  const plain = !scaled && !use_swiglu_ffn && pools === 'token' && positioned === leading && registers === 0
  if (isDeit || (plain && class_token)) {
    return {
      model_type: isDeit ? 'deit' : 'vit',
      ...(isDeit && { architectures: ['DeiTForImageClassificationWithTeacher'] }),
      ...sizes,
      intermediate_size,
    }
  }
  return {
    model_type: 'timm_vit',
    ...sizes,
    intermediate_size,
    use_swiglu_ffn,
    layerscale_value: scaled ? 1e-5 : null,
    class_token,
    num_register_tokens: registers,
    positioned_tokens: positioned,
    pooling: pools === 'token' ? 'class' : tensors.has('fc_norm.weight') ? 'mean_then_norm' : 'mean',
  }
}

const isSquare = (count: number) => count > 0 && Number.isInteger(Math.sqrt(count))

const vitParts: Readonly<Record<string, string>> = {
  norm1: 'layernorm_before',
  norm2: 'layernorm_after',
  'attn.proj': 'attention.output.dense',
  'mlp.fc1': 'intermediate.dense',
  'mlp.fc2': 'output.dense',
}
const dinoParts: Readonly<Record<string, string>> = {
  norm1: 'norm1',
  norm2: 'norm2',
  'attn.proj': 'attention.output.dense',
  ls1: 'layer_scale1',
  ls2: 'layer_scale2',
  'mlp.w12': 'mlp.weights_in',
  'mlp.w3': 'mlp.weights_out',
}

/** Tensors of a ViT of timm under Hugging Face's names; queries, keys and values, which timm has in one, as three. */
export function fromTimmNames(
  tensors: CheckpointTensors,
  { model_type, use_swiglu_ffn }: TimmShapes,
): CheckpointTensors {
  const mlp = use_swiglu_ffn ? ['mlp.weights_in', 'mlp.weights_out'] : ['mlp.fc1', 'mlp.fc2']
  const parts =
    model_type === 'vit' || model_type === 'deit'
      ? vitParts
      : { ...dinoParts, 'mlp.fc1': mlp[0]!, 'mlp.fc2': mlp[1]! }
  const outside: Readonly<Record<string, string>> = {
    cls_token: `${model_type}.embeddings.cls_token`,
    dist_token: `${model_type}.embeddings.distillation_token`,
    reg_token: `${model_type}.embeddings.register_tokens`,
    register_tokens: `${model_type}.embeddings.register_tokens`,
    pos_embed: `${model_type}.embeddings.position_embeddings`,
    'patch_embed.proj': `${model_type}.embeddings.patch_embeddings.projection`,
    norm: `${model_type}.layernorm`,
    fc_norm: `${model_type}.layernorm`,
    head: model_type === 'deit' ? 'cls_classifier' : 'classifier',
    head_dist: 'distillation_classifier',
  }
  const renamed = (name: string, tensor: CheckpointTensor): [string, CheckpointTensor][] => {
    const suffix = /\.(weight|bias|gamma)$/.exec(name)?.[0] ?? ''
    const stem = name.slice(0, name.length - suffix.length)
    const block = /^blocks\.(\d+)\.(.+)$/.exec(stem)
    if (!block) {
      const known = Object.hasOwn(outside, stem) ? outside[stem] : undefined
      return [[known === undefined ? name : `${known}${suffix}`, tensor]]
    }
    const [, index, part] = block as unknown as [string, string, string]
    const layer = `${model_type}.encoder.layer.${index}`
    if (part === 'attn.qkv') {
      return ['query', 'key', 'value'].map((projection, i) => [
        `${layer}.attention.attention.${projection}${suffix}`,
        third(tensor, i),
      ])
    }
    const known = Object.hasOwn(parts, part) ? parts[part] : undefined
    const ending = suffix === '.gamma' ? '.lambda1' : suffix
    return [[known === undefined ? name : `${layer}.${known}${ending}`, tensor]]
  }
  const all = new Map<string, CheckpointTensor>()
  for (const [name, tensor] of tensors) {
    for (const [now, part] of renamed(name, tensor)) {
      const other = all.get(now)
      if (other)
        throw new InputError(`${tensor.file} has '${other.storedAs}' and '${name}', of which a ViT has one`)
      all.set(now, part)
    }
  }
  return all
}

/** One of three equal parts of a tensor along its first axis. */
export function third(tensor: CheckpointTensor, index: number): CheckpointTensor {
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
