import {
  add,
  concat,
  fusedMatMul,
  layerNorm,
  linear,
  mul,
  normalizedLinear,
  reshape,
  slice,
  softmax,
  split,
  transpose,
  type Value,
} from 'onnxgrad'
import { z } from 'zod'
import { activate, activationName } from './activation.js'
import type { ForwardOptions } from './model.js'
import type { ParameterList } from './parameters.js'

const positive = z.int().positive()

/** Keys of a transformer encoder, as in Hugging Face's `ViTConfig`; families change the defaults. */
export const encoderKeys = {
  hidden_size: positive.default(128).describe('width of a token'),
  // As many as no machine trains: a file that asks for more is damaged or hostile.
  num_hidden_layers: positive.max(1000).default(6).describe('number of blocks'),
  num_attention_heads: positive.default(4),
  intermediate_size: positive.default(256).describe("width of the blocks' hidden layer"),
  hidden_act: activationName.default('gelu'),
  qkv_bias: z.boolean().default(true),
  layer_norm_eps: z.number().positive().default(1e-12),
}
/** What `transformers` takes for the sizes that a ViT's or a DeiT's configuration lacks: those of ViT-B/16. */
export const baseSizes = {
  image_size: 224,
  patch_size: 16,
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
}
const encoderConfig = z.object(encoderKeys)
export type EncoderConfig = z.infer<typeof encoderConfig>

/** How the parts of a block are named, and which of the optional ones it has. */
export interface BlockParts {
  /** The normalizations in front of attention and of the MLP. */
  readonly norms: readonly [string, string]
  /** The MLP's two layers. */
  readonly wide: string
  readonly narrow: string
  /** Layer scale (Touvron et al. 2021, CaiT): a factor for every channel of both branches. */
  readonly scales?: readonly [string, string]
  /**
   * SwiGLU (Shazeer 2020): the first layer is twice as wide as the MLP, and the SiLU of its first half is multiplied
   * by its second. Default: false.
   */
  readonly gated?: boolean
}
/** The blocks of Hugging Face's ViT and DeiT. */
export const vitParts: BlockParts = {
  norms: ['layernorm_before', 'layernorm_after'],
  wide: 'intermediate.dense',
  narrow: 'output.dense',
}

type Parameters = Readonly<Record<string, Value>>

/** @throws RangeError if the heads do not divide the width. */
export function assertHeadsFit({ hidden_size, num_attention_heads }: EncoderConfig): void {
  if (hidden_size % num_attention_heads !== 0) {
    throw new RangeError(
      `hidden_size ${hidden_size} is no multiple of num_attention_heads ${num_attention_heads}`,
    )
  }
}

/**
 * Declares the blocks' parameters, named `<prefix>.<i>.…`.
 * @param layerScale the first value of layer scale, where the blocks have it.
 */
export function declareEncoder(
  list: ParameterList,
  prefix: string,
  c: EncoderConfig,
  parts = vitParts,
  layerScale = 1,
): void {
  const width = c.hidden_size
  for (let i = 0; i < c.num_hidden_layers; i++) {
    list.nextLayer()
    const block = `${prefix}.${i}`
    for (const part of ['query', 'key', 'value'])
      list.dense(`${block}.attention.attention.${part}`, width, width, c.qkv_bias)
    list.dense(`${block}.attention.output.dense`, width, width)
    list.dense(`${block}.${parts.wide}`, (parts.gated ? 2 : 1) * c.intermediate_size, width)
    list.dense(`${block}.${parts.narrow}`, width, c.intermediate_size)
    for (const norm of parts.norms) list.norm(`${block}.${norm}`, width)
    for (const scale of parts.scales ?? [])
      list.embedding(`${block}.${scale}`, [width], { constant: layerScale })
  }
}

/** Scopes in which `encode` builds its blocks. */
export function blockNames({ num_hidden_layers }: EncoderConfig): string[] {
  return Array.from({ length: num_hidden_layers }, (_, i) => `block${i}`)
}

/**
 * Pre-norm transformer blocks (Dosovitskiy et al. 2021).
 *
 * @param tokens float32 (N, T, width).
 * @returns the tokens after the last block, not yet normalized, the attention probabilities (N, heads, T, T) of every
 * block, and as `hidden` the tokens that go into every block and come out of the last.
 */
export function encode(
  p: Parameters,
  prefix: string,
  tokens: Value,
  c: EncoderConfig,
  options: ForwardOptions,
  parts = vitParts,
): { tokens: Value; probabilities: Value[]; hidden: Value[] } {
  const { graph } = tokens
  const [before, after] = parts.norms
  const [attentionScale, mlpScale] = parts.scales ?? []
  const residual = residuals(options)
  const probabilities: Value[] = []
  const hidden = [tokens]
  let x = tokens
  for (let i = 0; i < c.num_hidden_layers; i++) {
    graph.within(`block${i}`, () => {
      const block = `${prefix}.${i}`
      // What works on each token alone works on one matrix of all tokens: no shapes to change between the layers.
      const rows = asRows(x)
      const project = normDense(p, rows, `${block}.${before}`, c.layer_norm_eps)
      const scaled = (y: Value, layer: string, scale?: string) =>
        scaledDense(p, y, `${block}.${layer}`, scale && `${block}.${scale}`)
      const projections = ['query', 'key', 'value'].map(part => `${block}.attention.attention.${part}`)
      const attended = attend(project(...projections), x.shape[0]!, c)
      probabilities.push(attended.probabilities)
      const between = residual(rows, scaled(attended.output, 'attention.output.dense', attentionScale))
      const wide = normDense(p, between, `${block}.${after}`, c.layer_norm_eps)(`${block}.${parts.wide}`)
      const active = parts.gated ? gate(wide) : activate(wide, c.hidden_act)
      x = reshape(residual(between, scaled(active, parts.narrow, mlpScale)), x.shape)
    })
    hidden.push(x)
  }
  return { tokens: x, probabilities, hidden }
}

/** A fully connected layer whose outputs are multiplied by a factor each, if one is named. */
function scaledDense(p: Parameters, x: Value, name: string, scale?: string): Value {
  const [weight, bias] = [p[`${name}.weight`]!, p[`${name}.bias`]!]
  if (!scale) return linear(x, weight, bias)
  // The factor goes into the small layer, not over the tokens.
  const factor = p[scale]!
  return linear(x, mul(weight, reshape(factor, [factor.shape[0]!, 1])), mul(bias, factor))
}

/** (…, width) to (rows, width). */
function asRows(x: Value): Value {
  return reshape(x, [x.shape.slice(0, -1).reduce((n, dim) => n * dim, 1), x.shape.at(-1)!])
}

/** SwiGLU behind its first layer: (rows, 2 · width) to (rows, width). */
function gate(wide: Value): Value {
  const width = wide.shape[1]! / 2
  return mul(activate(slice(wide, [1], [0], [width]), 'silu'), slice(wide, [1], [width], [2 * width]))
}

/**
 * Fully connected layers of a normalized input: a normalization by name, then layers by theirs. Several layers at once
 * are one product; their outputs lie side by side.
 */
export function normDense(
  p: Parameters,
  x: Value,
  norm: string,
  epsilon: number,
): (...names: string[]) => Value {
  const apply = normalizedLinear(x, p[`${norm}.weight`]!, p[`${norm}.bias`]!, epsilon)
  const all = (names: string[], part: string) => names.flatMap(name => p[`${name}.${part}`] ?? [])
  return (...names) => {
    const biases = all(names, 'bias')
    return apply(concat(all(names, 'weight'), 0), biases.length > 0 ? concat(biases, 0) : null)
  }
}

/** A normalization by name and the heads that read it: its output, and the logits of a head by name. */
export function normedHead(p: Parameters, x: Value, norm: string, epsilon: number) {
  return {
    features: layerNorm(x, p[`${norm}.weight`]!, p[`${norm}.bias`]!, epsilon),
    // Not of `features`: this form is cheaper in training, and what nobody asks for is left out of a graph.
    logits: (name: string) => normDense(p, x, norm, epsilon)(name),
  }
}

/**
 * Adds residual branches one after the other, each scaled as stochastic depth wants it. The first axis holds the
 * images, or the rows of one image behind those of another.
 */
export function residuals({ branchScale }: ForwardOptions): (x: Value, branch: Value) => Value {
  let next = 0
  return (x, branch) => {
    if (!branchScale) return add(x, branch)
    const factor = slice(branchScale, [0], [next], [next + 1])
    next++
    const images = factor.shape[1]!
    const byImage = reshape(branch, [images, x.shape[0]! / images, ...x.shape.slice(1)])
    const scaled = mul(byImage, reshape(factor, [images, ...x.shape.map(() => 1)]))
    return add(x, reshape(scaled, x.shape))
  }
}

/**
 * Multi-head self-attention before the output projection.
 * @param projected (N · T, 3 · width): queries, keys and values of the tokens of N images.
 * @returns output (N · T, width) and probabilities (N, heads, T, T).
 */
function attend(projected: Value, images: number, c: EncoderConfig) {
  const heads = c.num_attention_heads
  const size = c.hidden_size / heads
  const tokens = projected.shape[0]! / images
  const byHead = transpose(reshape(projected, [images, tokens, 3 * heads, size]), [0, 2, 1, 3])
  const [query, key, value] = split(byHead, 3, 1) as [Value, Value, Value]
  const probabilities = softmax(fusedMatMul(query, key, { transB: true, alpha: 1 / Math.sqrt(size) }))
  // Fused too: so are its gradients then, which would otherwise transpose copies.
  const merged = transpose(fusedMatMul(probabilities, value), [0, 2, 1, 3])
  return { output: reshape(merged, [images * tokens, c.hidden_size]), probabilities }
}
