import type { Weights } from '../models/model.js'
import type { TinyViT } from './tiny.js'

// A Vision Transformer in plain loops and double precision, one image at a time: slow, and plain enough to be
// believed. It knows nothing of graphs; tests compare the models and their gradients with it.

/** Rows of numbers: tokens × width, or a matrix. */
type Matrix = number[][]

export interface NaiveResult {
  readonly logits: number[]
  /** Attention probabilities of every block: heads × tokens × tokens. */
  readonly attention: readonly number[][][][]
}

/**
 * @param pixels 3 × side × side in [0, 1].
 * @param lastAttention used in the last block in place of what it computes.
 */
export function naiveViT(
  { config, mean, std }: TinyViT,
  weights: Readonly<Record<string, ArrayLike<number>>> | Weights,
  pixels: ArrayLike<number>,
  lastAttention?: number[][][],
): NaiveResult {
  const w = (name: string) => {
    const data = weights[name]
    if (!data) throw new Error(`no weight '${name}'`)
    return data
  }
  const dense = (x: Matrix, name: string): Matrix => {
    const [weight, bias] = [w(`${name}.weight`), weights[`${name}.bias`]]
    const inputs = x[0]!.length
    return x.map(row =>
      Array.from({ length: weight.length / inputs }, (_, o) =>
        row.reduce((sum, value, i) => sum + value * weight[o * inputs + i]!, bias?.[o] ?? 0),
      ),
    )
  }
  const norm = (x: Matrix, name: string): Matrix => {
    const [scale, shift] = [w(`${name}.weight`), w(`${name}.bias`)]
    return x.map(row => {
      const mean = row.reduce((a, b) => a + b) / row.length
      const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length
      return row.map(
        (v, i) => ((v - mean) / Math.sqrt(variance + config.layer_norm_eps)) * scale[i]! + shift[i]!,
      )
    })
  }

  const side = config.image_size
  let channels: Matrix = [0, 1, 2].map(c =>
    Array.from({ length: side * side }, (_, i) => (pixels[c * side * side + i]! - mean[c]!) / std[c]!),
  )
  let width = side
  const stem = config.conv_stem.length
  for (let i = 0; i < stem; i++) {
    const stride = i < stem - Math.log2(config.patch_size) ? 1 : 2
    const name = `vit.embeddings.stem.${i}`
    channels = convolve(channels, width, w(`${name}.weight`), w(`${name}.bias`), 3, stride, 1)
    channels = channels.map(channel => channel.map(v => Math.max(0, v)))
    width /= stride
  }
  const patch = stem > 0 ? 1 : config.patch_size
  const projection = 'vit.embeddings.patch_embeddings.projection'
  const maps = convolve(channels, width, w(`${projection}.weight`), w(`${projection}.bias`), patch, patch, 0)
  const cls = Array.from(w('vit.embeddings.cls_token'))
  const position = w('vit.embeddings.position_embeddings')
  let x: Matrix = [cls, ...maps[0]!.map((_, i) => maps.map(map => map[i]!))].map((token, t) =>
    token.map((v, i) => v + position[t * token.length + i]!),
  )

  const attention: number[][][][] = []
  const size = config.hidden_size / config.num_attention_heads
  for (let block = 0; block < config.num_hidden_layers; block++) {
    const name = `vit.encoder.layer.${block}`
    const y = norm(x, `${name}.layernorm_before`)
    const [query, key, value] = ['query', 'key', 'value'].map(part =>
      dense(y, `${name}.attention.attention.${part}`),
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
    x = plus(x, dense(mixed, `${name}.attention.output.dense`))
    const hidden = dense(norm(x, `${name}.layernorm_after`), `${name}.intermediate.dense`)
    const active = hidden.map(row => row.map(v => (config.hidden_act === 'gelu' ? gelu(v) : Math.max(0, v))))
    x = plus(x, dense(active, `${name}.output.dense`))
  }
  return { logits: dense(norm([x[0]!], 'vit.layernorm'), 'classifier')[0]!, attention }
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

function softmax(scores: readonly number[]): number[] {
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
function convolve(
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
