import type { EncoderConfig } from '../models/encoder.js'

// Layers in plain loops and double precision, one image at a time: slow, and plain enough to be believed. They know
// nothing of graphs; tests compare the models and their gradients with them.

/** Rows of numbers: tokens × width, or a matrix. */
export type Matrix = number[][]

/** Tensors by name, row-major. */
export type NaiveWeights = Readonly<Record<string, ArrayLike<number>>>

/** @throws Error if there is no such tensor. */
export function tensorOf(weights: NaiveWeights, name: string): ArrayLike<number> {
  const data = weights[name]
  if (!data) throw new Error(`no weight '${name}'`)
  return data
}

export function dense(weights: NaiveWeights, x: Matrix, name: string): Matrix {
  const [weight, bias] = [tensorOf(weights, `${name}.weight`), weights[`${name}.bias`]]
  const inputs = x[0]!.length
  return x.map(row =>
    Array.from({ length: weight.length / inputs }, (_, o) =>
      row.reduce((sum, value, i) => sum + value * weight[o * inputs + i]!, bias?.[o] ?? 0),
    ),
  )
}

export function norm(weights: NaiveWeights, x: Matrix, name: string, epsilon: number): Matrix {
  const [scale, shift] = [tensorOf(weights, `${name}.weight`), tensorOf(weights, `${name}.bias`)]
  return x.map(row => {
    const mean = row.reduce((a, b) => a + b) / row.length
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + epsilon)) * scale[i]! + shift[i]!)
  })
}

/**
 * Pre-norm blocks over tokens × width.
 * @param lastAttention used in the last block in place of what it computes.
 * @returns the tokens, and heads × tokens × tokens of every block.
 */
export function blocks(
  weights: NaiveWeights,
  prefix: string,
  tokens: Matrix,
  config: EncoderConfig,
  lastAttention?: number[][][],
): { tokens: Matrix; attention: number[][][][] } {
  const attention: number[][][][] = []
  const size = config.hidden_size / config.num_attention_heads
  let x = tokens
  for (let block = 0; block < config.num_hidden_layers; block++) {
    const name = `${prefix}.${block}`
    const y = norm(weights, x, `${name}.layernorm_before`, config.layer_norm_eps)
    const [query, key, value] = ['query', 'key', 'value'].map(part =>
      dense(weights, y, `${name}.attention.attention.${part}`),
    ) as [Matrix, Matrix, Matrix]
    const last = block === config.num_hidden_layers - 1
    const maps = Array.from({ length: config.num_attention_heads }, (_, head) => {
      const channels = Array.from({ length: size }, (_, i) => head * size + i)
      const scores = query.map(q =>
        key.map(k => channels.reduce((sum, i) => sum + q[i]! * k[i]!, 0) / Math.sqrt(size)),
      )
      return scores.map(softmax)
    })
    attention.push(maps)
    const used = last && lastAttention ? lastAttention : maps
    const mixed = x.map((row, t) =>
      row.map((_, i) => value.reduce((sum, v, s) => sum + used[Math.floor(i / size)]![t]![s]! * v[i]!, 0)),
    )
    x = plus(x, dense(weights, mixed, `${name}.attention.output.dense`))
    const hidden = dense(
      weights,
      norm(weights, x, `${name}.layernorm_after`, config.layer_norm_eps),
      `${name}.intermediate.dense`,
    )
    const active = hidden.map(row => row.map(v => (config.hidden_act === 'gelu' ? gelu(v) : Math.max(0, v))))
    x = plus(x, dense(weights, active, `${name}.output.dense`))
  }
  return { tokens: x, attention }
}

/** Cross-entropy of one image's logits against a label, the target smoothed over all classes. */
export function naiveCrossEntropy(logits: readonly number[], label: number, smoothing = 0): number {
  const probabilities = softmax(logits)
  const spread = smoothing / logits.length
  return -probabilities.reduce(
    (sum, p, i) => sum + ((i === label ? 1 - smoothing : 0) + spread) * Math.log(p),
    0,
  )
}

export function softmax(scores: readonly number[]): number[] {
  const largest = Math.max(...scores)
  const powers = scores.map(score => Math.exp(score - largest))
  const sum = powers.reduce((a, b) => a + b)
  return powers.map(power => power / sum)
}

const plus = (a: Matrix, b: Matrix): Matrix => a.map((row, t) => row.map((v, i) => v + b[t]![i]!))

function gelu(x: number): number {
  // The series of erf converges for every x; beyond 5 it is 1 in double precision.
  const z = Math.min(5, Math.abs(x) / Math.SQRT2)
  let term = z
  let sum = z
  for (let n = 1; n < 120; n++) {
    term *= (-z * z) / n
    sum += term / (2 * n + 1)
  }
  return 0.5 * x * (1 + Math.sign(x) * ((2 / Math.sqrt(Math.PI)) * sum))
}

/** Zero-padded convolution of square channels (each row by row). */
export function convolve(
  channels: Matrix,
  width: number,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  kernel: number,
  stride: number,
  padding: number,
): Matrix {
  const out = Math.floor((width + 2 * padding - kernel) / stride) + 1
  return Array.from(bias, (shift, o) =>
    Array.from({ length: out * out }, (_, at) => {
      const [top, left] = [Math.floor(at / out) * stride - padding, (at % out) * stride - padding]
      let sum = shift
      channels.forEach((channel, c) => {
        for (let i = 0; i < kernel; i++) {
          for (let j = 0; j < kernel; j++) {
            const [y, x] = [top + i, left + j]
            if (y < 0 || x < 0 || y >= width || x >= width) continue
            sum += channel[y * width + x]! * weight[((o * channels.length + c) * kernel + i) * kernel + j]!
          }
        }
      })
      return sum
    }),
  )
}
