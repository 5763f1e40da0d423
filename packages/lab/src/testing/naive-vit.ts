import { blocks, convolve, dense, type Matrix, type NaiveWeights, norm, tensorOf } from './naive-layers.js'
import type { TinyViT } from './tiny.js'

export interface NaiveResult {
  readonly logits: number[]
  /** Attention probabilities of every block: heads × tokens × tokens. */
  readonly attention: readonly number[][][][]
}

/**
 * A Vision Transformer in plain loops.
 * @param pixels 3 × side × side in [0, 1].
 * @param lastAttention used in the last block in place of what it computes.
 */
export function naiveViT(
  { config, mean, std }: TinyViT,
  weights: NaiveWeights,
  pixels: ArrayLike<number>,
  lastAttention?: number[][][],
): NaiveResult {
  const w = (name: string) => tensorOf(weights, name)
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
  const first: Matrix = [cls, ...maps[0]!.map((_, i) => maps.map(map => map[i]!))].map((token, t) =>
    token.map((v, i) => v + position[t * token.length + i]!),
  )
  const { tokens, attention } = blocks(weights, 'vit.encoder.layer', first, config, lastAttention)
  const last = norm(weights, [tokens[0]!], 'vit.layernorm', config.layer_norm_eps)
  return { logits: dense(weights, last, 'classifier')[0]!, attention }
}
