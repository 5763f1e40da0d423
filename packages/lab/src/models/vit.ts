import { add, concat, conv2d, expand, linear, relu, reshape, slice, transpose, type Value } from 'onnxgrad'
import { z } from 'zod'
import { defineFamily } from './define-family.js'
import {
  assertHeadsFit,
  baseSizes,
  blockNames,
  declareEncoder,
  encode,
  encoderKeys,
  normedHead,
} from './encoder.js'
import { normalizationOf, normalize } from './image-input.js'
import type { Model, ModelParameter, Task } from './model.js'
import { heNormal, ParameterList } from './parameters.js'
import { assertPatchesFit, embedPatches, imageSide, patchAttention } from './patches.js'

const positive = z.int().positive()

/**
 * Shape of a Vision Transformer (Dosovitskiy et al. 2021), in the keys of Hugging Face's `ViTConfig`.
 * `conv_stem` is this project's addition: output channels of 3×3 convolutions in front of the patch projection
 * (Xiao et al. 2021); the last log2(patch_size) of them have stride 2, and the projection becomes 1×1.
 */
export const vitConfig = z.object({
  image_size: imageSide.default(32),
  patch_size: positive.default(4).describe('side of a patch, pixels'),
  num_channels: z.literal(3).default(3),
  ...encoderKeys,
  conv_stem: z.array(positive).default([]).describe('channels of the convolutional stem; empty: none'),
})
export type ViTConfig = z.infer<typeof vitConfig>

/** A ViT with the parameter names and layouts of Hugging Face's `ViTForImageClassification`. */
export const vit = defineFamily({
  modelType: 'vit',
  architectures: ['ViTForImageClassification'],
  notInTransformers: ({ conv_stem }) => (conv_stem.length > 0 ? 'ViTs with a convolutional stem' : undefined),
  citation: 'Dosovitskiy et al. 2021',
  url: 'https://arxiv.org/abs/2010.11929',
  config: vitConfig,
  absentKeys: baseSizes,
  build: buildViT,
})

function buildViT(config: ViTConfig, task: Task): Model {
  const stem = stemOf(config)
  const side = config.image_size / config.patch_size
  const normalization = normalizationOf(task)
  return {
    modelType: 'vit',
    config,
    imageSize: config.image_size,
    classNames: task.classNames,
    parameters: parametersOf(config, stem, side * side + 1, task.classNames.length),
    branches: 2 * config.num_hidden_layers,
    blocks: blockNames(config),
    leadingTokens: 1,
    ...normalization,
    forward(p, pixels, options = {}) {
      const { graph } = pixels
      const patches = graph.within('embeddings', () =>
        embed(p, normalize(pixels, normalization), config, stem),
      )
      const [batch, , width] = patches.shape as [number, number, number]
      const cls = expand(p['vit.embeddings.cls_token']!, [batch, 1, width])
      const first = add(concat([cls, patches], 1), p['vit.embeddings.position_embeddings']!)
      const { tokens, probabilities, hidden } = encode(p, 'vit.encoder.layer', first, config, options)
      // Normalization works on each token alone, so the class token is taken first.
      const last = reshape(slice(tokens, [1], [0], [1]), [batch, width])
      const head = normedHead(p, last, 'vit.layernorm', config.layer_norm_eps)
      return {
        logits: head.logits('classifier'),
        features: head.features,
        hidden,
        attention: probabilities.map(map => patchAttention(map, 1)),
      }
    },
  }
}

interface StemLayer {
  readonly name: string
  readonly inputs: number
  readonly outputs: number
  readonly stride: number
}

function stemOf(config: ViTConfig): StemLayer[] {
  const { patch_size, conv_stem } = config
  assertPatchesFit(config)
  assertHeadsFit(config)
  if (conv_stem.length === 0) return []
  const halvings = Math.log2(patch_size)
  if (!Number.isInteger(halvings) || halvings > conv_stem.length) {
    throw new RangeError(
      `a stem of ${conv_stem.length} convolutions cannot reduce by patch_size ${patch_size}`,
    )
  }
  return conv_stem.map((outputs, i) => ({
    name: `vit.embeddings.stem.${i}`,
    inputs: conv_stem[i - 1] ?? 3,
    outputs,
    stride: i < conv_stem.length - halvings ? 1 : 2,
  }))
}

const projection = 'vit.embeddings.patch_embeddings.projection'

function parametersOf(
  c: ViTConfig,
  stem: readonly StemLayer[],
  tokens: number,
  classes: number,
): Record<string, ModelParameter> {
  const list = new ParameterList()
  const width = c.hidden_size
  list.embedding('vit.embeddings.cls_token', [1, 1, width])
  list.embedding('vit.embeddings.position_embeddings', [1, tokens, width])
  for (const { name, inputs, outputs } of stem) list.conv(name, [outputs, inputs, 3, 3], heNormal(inputs, 3))
  const [channels, patch] = stem.length > 0 ? [stem.at(-1)!.outputs, 1] : [3, c.patch_size]
  list.conv(projection, [width, channels, patch, patch], Math.sqrt(1 / (channels * patch * patch)))
  declareEncoder(list, 'vit.encoder.layer', c)
  list.nextLayer()
  list.norm('vit.layernorm', width)
  list.dense('classifier', classes, width)
  return list.all
}

type Parameters = Readonly<Record<string, Value>>

/** Images (N, 3, H, W) to patch tokens (N, patches, width). */
function embed(p: Parameters, pixels: Value, c: ViTConfig, stem: readonly StemLayer[]): Value {
  const batch = pixels.shape[0]!
  const side = c.image_size / c.patch_size
  const [weight, bias] = [p[`${projection}.weight`]!, p[`${projection}.bias`]!]
  if (stem.length === 0) return embedPatches(pixels, weight, bias)
  const flat = reshape(weight, [weight.shape[0]!, weight.shape[1]!])
  let x = pixels
  for (const { name, stride } of stem) {
    x = relu(conv2d(x, p[`${name}.weight`]!, p[`${name}.bias`]!, { stride, padding: 1 }))
  }
  const tokens = reshape(transpose(x, [0, 2, 3, 1]), [batch, side * side, x.shape[1]!])
  return linear(tokens, flat, bias)
}
