import {
  add,
  fusedMatMul,
  layerNorm,
  linear,
  matmul,
  mul,
  normalizedLinear,
  reshape,
  slice,
  softmax,
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

type Parameters = Readonly<Record<string, Value>>

/** @throws RangeError if the heads do not divide the width. */
export function assertHeadsFit({ hidden_size, num_attention_heads }: EncoderConfig): void {
  if (hidden_size % num_attention_heads !== 0) {
    throw new RangeError(
      `hidden_size ${hidden_size} is no multiple of num_attention_heads ${num_attention_heads}`,
    )
  }
}

/** Declares the blocks' parameters, named `<prefix>.<i>.…` as in Hugging Face's ViT. */
export function declareEncoder(list: ParameterList, prefix: string, c: EncoderConfig): void {
  const width = c.hidden_size
  for (let i = 0; i < c.num_hidden_layers; i++) {
    list.nextLayer()
    const block = `${prefix}.${i}`
    for (const part of ['query', 'key', 'value'])
      list.dense(`${block}.attention.attention.${part}`, width, width, c.qkv_bias)
    list.dense(`${block}.attention.output.dense`, width, width)
    list.dense(`${block}.intermediate.dense`, c.intermediate_size, width)
    list.dense(`${block}.output.dense`, width, c.intermediate_size)
    list.norm(`${block}.layernorm_before`, width)
    list.norm(`${block}.layernorm_after`, width)
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
): { tokens: Value; probabilities: Value[]; hidden: Value[] } {
  const { graph } = tokens
  const dense = (x: Value, name: string) => linear(x, p[`${name}.weight`]!, p[`${name}.bias`])
  const residual = residuals(options)
  const probabilities: Value[] = []
  const hidden = [tokens]
  let x = tokens
  for (let i = 0; i < c.num_hidden_layers; i++) {
    graph.within(`block${i}`, () => {
      const block = `${prefix}.${i}`
      const project = normDense(p, x, `${block}.layernorm_before`, c.layer_norm_eps)
      const attended = attend(part => project(`${block}.attention.attention.${part}`), c)
      probabilities.push(attended.probabilities)
      x = residual(x, dense(attended.output, `${block}.attention.output.dense`))
      const expand = normDense(p, x, `${block}.layernorm_after`, c.layer_norm_eps)
      const wide = activate(expand(`${block}.intermediate.dense`), c.hidden_act)
      x = residual(x, dense(wide, `${block}.output.dense`))
    })
    hidden.push(x)
  }
  return { tokens: x, probabilities, hidden }
}

/** Fully connected layers of a normalized input: a normalization by name, then layers by theirs. */
export function normDense(p: Parameters, x: Value, norm: string, epsilon: number): (name: string) => Value {
  const apply = normalizedLinear(x, p[`${norm}.weight`]!, p[`${norm}.bias`]!, epsilon)
  return name => apply(p[`${name}.weight`]!, p[`${name}.bias`])
}

/** A normalization by name and the heads that read it: its output, and the logits of a head by name. */
export function normedHead(p: Parameters, x: Value, norm: string, epsilon: number) {
  return {
    features: layerNorm(x, p[`${norm}.weight`]!, p[`${norm}.bias`]!, epsilon),
    // Not of `features`: this form is cheaper in training, and what nobody asks for is left out of a graph.
    logits: normDense(p, x, norm, epsilon),
  }
}

/** Adds residual branches one after the other, each scaled as stochastic depth wants it. */
export function residuals({ branchScale }: ForwardOptions): (x: Value, branch: Value) => Value {
  let next = 0
  return (x, branch) => {
    if (!branchScale) return add(x, branch)
    const row = slice(branchScale, [0], [next], [next + 1])
    next++
    return add(x, mul(branch, reshape(row, [x.shape[0]!, ...x.shape.slice(1).map(() => 1)])))
  }
}

/** Multi-head self-attention before the output projection, from the projections (N, T, width) of the tokens. */
function attend(project: (part: 'query' | 'key' | 'value') => Value, c: EncoderConfig) {
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
