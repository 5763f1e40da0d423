import { add, concat, expand, layerNorm, linear, reduceMean, reshape, slice, type Value } from 'onnxgrad'
import {
  assertHeadsFit,
  type BlockParts,
  blockNames,
  declareEncoder,
  type EncoderConfig,
  encode,
  normedHead,
} from './encoder.js'
import { normalizationOf, normalize } from './image-input.js'
import type { Model, ModelParameter, Task } from './model.js'
import { ParameterList } from './parameters.js'
import { assertPatchesFit, embedPatches, patchAttention } from './patches.js'

/**
 * What a head reads: the normalized class token; that and the mean of the normalized patch tokens, one behind the
 * other; that mean alone; or the mean of the patch tokens, normalized afterwards.
 */
export type Pooling = 'class' | 'class_and_mean' | 'mean' | 'mean_then_norm'

/** A ViT whose tokens in front of the patches, blocks and pooling are chosen. */
export interface TokenViT {
  readonly modelType: string
  /** As the family declares it. */
  readonly config: Model['config']
  readonly imageSize: number
  readonly patchSize: number
  readonly encoder: EncoderConfig
  readonly parts: BlockParts
  /** First value of layer scale, where `parts` has it. */
  readonly layerScale: number
  readonly classToken: boolean
  readonly registers: number
  /** Tokens in front of the patches that have a position embedding: of 2, the first 2. */
  readonly positioned: number
  /** As `Positions.antialias`. */
  readonly antialias: boolean
  readonly pooling: Pooling
}

/**
 * Builds it: the class token, registers (Darcet et al. 2024) and patches in this order, `positioned` of the first two
 * and all patches with position embeddings; pre-norm blocks; the head. Parameters are named `<model type>.…` as in
 * Hugging Face's DINOv2.
 *
 * @throws RangeError if sizes do not go together.
 */
export function buildTokenViT(vit: TokenViT, task: Task): Model {
  const { encoder, imageSize, patchSize, parts } = vit
  assertPatchesFit({ image_size: imageSize, patch_size: patchSize })
  assertHeadsFit(encoder)
  const leading = (vit.classToken ? 1 : 0) + vit.registers
  const normalization = normalizationOf(task)
  const layer = `${vit.modelType}.encoder.layer`
  return {
    modelType: vit.modelType,
    config: vit.config,
    imageSize,
    classNames: task.classNames,
    parameters: parametersOf(vit, task.classNames.length),
    branches: 2 * encoder.num_hidden_layers,
    blocks: blockNames(encoder),
    leadingTokens: leading,
    hasClassToken: vit.classToken,
    ...normalization,
    forward(p, pixels, options = {}) {
      const first = pixels.graph.within('embeddings', () => embed(p, normalize(pixels, normalization), vit))
      const { tokens, probabilities, hidden } = encode(p, layer, first, encoder, options, parts)
      return {
        ...readHead(p, tokens, leading, vit),
        hidden,
        attention: probabilities.map(map => patchAttention(map, leading)),
      }
    },
  }
}

type Parameters = Readonly<Record<string, Value>>

const partOf = ({ modelType }: TokenViT, name: string) => `${modelType}.embeddings.${name}`

function parametersOf(vit: TokenViT, classes: number): Record<string, ModelParameter> {
  const { encoder, imageSize, patchSize: patch, registers, positioned, antialias } = vit
  const width = encoder.hidden_size
  const list = new ParameterList()
  if (vit.classToken) list.embedding(partOf(vit, 'cls_token'), [1, 1, width])
  if (registers > 0) list.embedding(partOf(vit, 'register_tokens'), [1, registers, width])
  const side = imageSize / patch
  list.positions(partOf(vit, 'position_embeddings'), width, {
    leading: positioned,
    side,
    ...(antialias && { antialias }),
  })
  const normal = Math.sqrt(1 / (3 * patch * patch))
  list.conv(partOf(vit, 'patch_embeddings.projection'), [width, 3, patch, patch], normal)
  declareEncoder(list, `${vit.modelType}.encoder.layer`, encoder, vit.parts, vit.layerScale)
  list.nextLayer()
  list.norm(`${vit.modelType}.layernorm`, width)
  list.dense('classifier', classes, vit.pooling === 'class_and_mean' ? 2 * width : width)
  return list.all
}

/** Normalized images (N, 3, H, H) to tokens (N, leading + patches, width). */
function embed(p: Parameters, pixels: Value, vit: TokenViT): Value {
  const projection = partOf(vit, 'patch_embeddings.projection')
  const patches = embedPatches(pixels, p[`${projection}.weight`]!, p[`${projection}.bias`]!)
  const [batch, count, width] = patches.shape as [number, number, number]
  const positions = p[partOf(vit, 'position_embeddings')]!
  const { positioned } = vit
  const rows = (from: number, to: number) => slice(positions, [1], [from], [to])
  const grid = add(patches, rows(positioned, positioned + count))
  const own = ['cls_token', 'register_tokens'].flatMap(name => p[partOf(vit, name)] ?? [])
  if (own.length === 0) return grid
  const tokens = concat(own, 1)
  const all = tokens.shape[1]!
  const leading = [
    ...(positioned > 0 ? [add(slice(tokens, [1], [0], [positioned]), rows(0, positioned))] : []),
    ...(positioned < all ? [slice(tokens, [1], [positioned], [all])] : []),
  ]
  return concat([expand(concat(leading, 1), [batch, all, width]), grid], 1)
}

/** The head's input and the logits, from the tokens (N, leading + patches, width) behind the blocks. */
function readHead(p: Parameters, tokens: Value, leading: number, { modelType, pooling, encoder }: TokenViT) {
  const [batch, count, width] = tokens.shape as [number, number, number]
  const name = `${modelType}.layernorm`
  const norm = (x: Value) => layerNorm(x, p[`${name}.weight`]!, p[`${name}.bias`]!, encoder.layer_norm_eps)
  const first = (x: Value) => reshape(slice(x, [1], [0], [1]), [batch, width])
  const patches = (x: Value) => slice(x, [1], [leading], [count])
  if (pooling === 'class' || pooling === 'mean_then_norm') {
    // Normalization works on each token alone, so the class token is taken first.
    const vector = pooling === 'class' ? first(tokens) : reduceMean(patches(tokens), [1])
    const { features, logits } = normedHead(p, vector, name, encoder.layer_norm_eps)
    return { features, logits: logits('classifier') }
  }
  const normed = norm(pooling === 'mean' ? patches(tokens) : tokens)
  const features =
    pooling === 'mean'
      ? reduceMean(normed, [1])
      : concat([first(normed), reduceMean(patches(normed), [1])], 1)
  return { features, logits: linear(features, p['classifier.weight']!, p['classifier.bias']!) }
}
