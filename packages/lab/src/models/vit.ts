import {
  add,
  concat,
  conv2d,
  div,
  expand,
  fusedMatMul,
  linear,
  matmul,
  mul,
  normalizedLinear,
  relu,
  reshape,
  slice,
  softmax,
  sub,
  transpose,
  type Value,
} from 'onnxgrad'
import { z } from 'zod'
import type { ForwardOptions, ForwardResult, Model, ModelParameter } from './model.js'

const positive = z.int().positive()

/**
 * Shape of a Vision Transformer (Dosovitskiy et al. 2021), in the keys of Hugging Face's `ViTConfig`.
 * `conv_stem` is this project's addition: output channels of 3×3 convolutions in front of the patch projection
 * (Xiao et al. 2021); the last log2(patch_size) of them have stride 2, and the projection becomes 1×1.
 */
export const vitConfig = z.object({
  image_size: positive.default(32).describe('side of the square input, pixels'),
  patch_size: positive.default(4).describe('side of a patch, pixels'),
  num_channels: z.literal(3).default(3),
  hidden_size: positive.default(128).describe('width of a token'),
  num_hidden_layers: positive.default(6).describe('number of blocks'),
  num_attention_heads: positive.default(4),
  intermediate_size: positive.default(256).describe("width of the blocks' hidden layer"),
  hidden_act: z.enum(['gelu', 'relu']).default('gelu'),
  qkv_bias: z.boolean().default(true),
  layer_norm_eps: z.number().positive().default(1e-12),
  conv_stem: z.array(positive).default([]).describe('channels of the convolutional stem; empty: none'),
})
export type ViTConfig = z.infer<typeof vitConfig>

export interface ViTOptions {
  readonly config: ViTConfig
  readonly classNames: readonly string[]
  readonly mean?: readonly number[]
  readonly std?: readonly number[]
}

/** A model that knows its configuration, so that it can be saved. */
export interface ViT extends Model {
  readonly config: ViTConfig
}

/** A ViT with the parameter names and layouts of Hugging Face's `ViTForImageClassification`. */
export function vit({ config, classNames, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }: ViTOptions): ViT {
  const stem = stemOf(config)
  const side = config.image_size / config.patch_size
  return {
    config,
    imageSize: config.image_size,
    classNames,
    parameters: parametersOf(config, stem, side * side + 1, classNames.length),
    branches: 2 * config.num_hidden_layers,
    blocks: Array.from({ length: config.num_hidden_layers }, (_, i) => `block${i}`),
    leadingTokens: 1,
    mean,
    std,
    forward(p, pixels, options = {}) {
      const perChannel = (values: readonly number[]) => pixels.graph.constant('float32', [1, 3, 1, 1], values)
      const normalized = div(sub(pixels, perChannel(mean)), perChannel(std))
      const patches = pixels.graph.within('embeddings', () => embed(p, normalized, config, stem))
      return encode(p, patches, config, options)
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
  const { image_size, patch_size, hidden_size, num_attention_heads, conv_stem } = config
  if (image_size % patch_size !== 0)
    throw new RangeError(`image_size ${image_size} is no multiple of patch_size ${patch_size}`)
  if (hidden_size % num_attention_heads !== 0) {
    throw new RangeError(
      `hidden_size ${hidden_size} is no multiple of num_attention_heads ${num_attention_heads}`,
    )
  }
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

const prefix = (i: number) => `vit.encoder.layer.${i}`
const projection = 'vit.embeddings.patch_embeddings.projection'

function parametersOf(c: ViTConfig, stem: readonly StemLayer[], tokens: number, classes: number) {
  const all: Record<string, ModelParameter> = {}
  let depth = 0
  const embedding = (name: string, shape: number[]) => {
    all[name] = { shape, decay: false, init: { normal: 0.02 }, depth }
  }
  const dense = (name: string, shape: number[], normal = 0.02, bias = true) => {
    all[`${name}.weight`] = { shape, decay: true, init: { normal }, depth }
    if (bias) all[`${name}.bias`] = { shape: [shape[0]!], decay: false, init: 'zeros', depth }
  }
  const norm = (name: string) => {
    all[`${name}.weight`] = { shape: [c.hidden_size], decay: false, init: 'ones', depth }
    all[`${name}.bias`] = { shape: [c.hidden_size], decay: false, init: 'zeros', depth }
  }
  const width = c.hidden_size
  embedding('vit.embeddings.cls_token', [1, 1, width])
  embedding('vit.embeddings.position_embeddings', [1, tokens, width])
  // He et al. 2015: keeps the variance through ReLU.
  for (const { name, inputs, outputs } of stem)
    dense(name, [outputs, inputs, 3, 3], Math.sqrt(2 / (9 * inputs)))
  const [channels, patch] = stem.length > 0 ? [stem.at(-1)!.outputs, 1] : [3, c.patch_size]
  dense(projection, [width, channels, patch, patch], Math.sqrt(1 / (channels * patch * patch)))
  for (let i = 0; i < c.num_hidden_layers; i++) {
    depth++
    for (const part of ['query', 'key', 'value'])
      dense(`${prefix(i)}.attention.attention.${part}`, [width, width], 0.02, c.qkv_bias)
    dense(`${prefix(i)}.attention.output.dense`, [width, width])
    dense(`${prefix(i)}.intermediate.dense`, [c.intermediate_size, width])
    dense(`${prefix(i)}.output.dense`, [width, c.intermediate_size])
    norm(`${prefix(i)}.layernorm_before`)
    norm(`${prefix(i)}.layernorm_after`)
  }
  depth++
  norm('vit.layernorm')
  dense('classifier', [classes, width])
  return all
}

type Parameters = Readonly<Record<string, Value>>

/** Images (N, 3, H, W) to patch tokens (N, patches, width). */
function embed(p: Parameters, pixels: Value, c: ViTConfig, stem: readonly StemLayer[]): Value {
  const batch = pixels.shape[0]!
  const side = c.image_size / c.patch_size
  const [weight, bias] = [p[`${projection}.weight`]!, p[`${projection}.bias`]!]
  const flat = reshape(weight, [weight.shape[0]!, weight.shape[1]! * weight.shape[2]! * weight.shape[3]!])
  if (stem.length > 0) {
    let x = pixels
    for (const { name, stride } of stem) {
      x = relu(conv2d(x, p[`${name}.weight`]!, p[`${name}.bias`]!, { stride, padding: 1 }))
    }
    const tokens = reshape(transpose(x, [0, 2, 3, 1]), [batch, side * side, x.shape[1]!])
    return linear(tokens, flat, bias)
  }
  // A convolution whose stride is its kernel is a matrix product of the patches.
  const k = c.patch_size
  const patches = transpose(reshape(pixels, [batch, 3, side, k, side, k]), [0, 2, 4, 1, 3, 5])
  return linear(reshape(patches, [batch, side * side, 3 * k * k]), flat, bias)
}

function encode(p: Parameters, patches: Value, c: ViTConfig, { branchScale }: ForwardOptions): ForwardResult {
  const { graph } = patches
  const [batch, , width] = patches.shape as [number, number, number]
  const eps = c.layer_norm_eps
  const dense = (x: Value, name: string) => linear(x, p[`${name}.weight`]!, p[`${name}.bias`])
  const normDense = (x: Value, norm: string) => {
    const apply = normalizedLinear(x, p[`${norm}.weight`]!, p[`${norm}.bias`]!, eps)
    return (name: string) => apply(p[`${name}.weight`]!, p[`${name}.bias`])
  }
  let branch = 0
  const residual = (x: Value, f: Value) => {
    if (!branchScale) return add(x, f)
    const scale = reshape(slice(branchScale, [0], [branch], [branch + 1]), [batch, 1, 1])
    branch++
    return add(x, mul(f, scale))
  }

  const cls = expand(p['vit.embeddings.cls_token']!, [batch, 1, width])
  let x = add(concat([cls, patches], 1), p['vit.embeddings.position_embeddings']!)
  const attention: Value[] = []
  for (let i = 0; i < c.num_hidden_layers; i++) {
    graph.within(`block${i}`, () => {
      const project = normDense(x, `${prefix(i)}.layernorm_before`)
      const { output, probabilities } = attend(part => project(`${prefix(i)}.attention.attention.${part}`), c)
      attention.push(probabilities)
      x = residual(x, dense(output, `${prefix(i)}.attention.output.dense`))
      const hidden = normDense(x, `${prefix(i)}.layernorm_after`)(`${prefix(i)}.intermediate.dense`)
      const active = c.hidden_act === 'gelu' ? graph.apply('Gelu', [hidden])[0]! : relu(hidden)
      x = residual(x, dense(active, `${prefix(i)}.output.dense`))
    })
  }
  // Normalization works on each token alone, so the class token is taken first.
  const cls0 = reshape(slice(x, [1], [0], [1]), [batch, width])
  const logits = normDense(cls0, 'vit.layernorm')('classifier')
  return { logits, attention }
}

/** Multi-head self-attention before the output projection, from the projections (N, T, width) of the tokens. */
function attend(project: (part: 'query' | 'key' | 'value') => Value, c: ViTConfig) {
  const heads = c.num_attention_heads
  const size = c.hidden_size / heads
  const split = (y: Value) => transpose(reshape(y, [y.shape[0]!, y.shape[1]!, heads, size]), [0, 2, 1, 3])
  const [query, key, value] = [split(project('query')), split(project('key')), split(project('value'))]
  const scores = fusedMatMul(query, key, { transB: true, alpha: 1 / Math.sqrt(size) })
  const probabilities = softmax(scores)
  const merged = transpose(matmul(probabilities, value), [0, 2, 1, 3])
  const output = reshape(merged, [merged.shape[0]!, merged.shape[1]!, c.hidden_size])
  return { output, probabilities }
}
