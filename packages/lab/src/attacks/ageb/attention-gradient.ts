import {
  abs,
  argMax,
  crossEntropy,
  expand,
  gradients,
  mul,
  reduceMean,
  reduceSum,
  reshape,
  slice,
  type Value,
} from 'onnxgrad'
import { bakeWeights } from '../../models/model.js'
import type { Surrogate } from '../define-attack.js'

/** What the gradient is taken at: input pixels, or the patch tokens' columns of the attention map. */
export type GradientAt = 'pixel' | 'patch' | 'class-token'

/**
 * Stage 1: how strongly the loss pulls at every pixel through the last block's attention alone.
 *
 * `pixel`: ∂L/∂A is held constant and carried back through A to the pixels; Σ over channels of its magnitude.
 * `patch`: mean over heads and query tokens of |A ⊙ ∂L/∂A| in the patch's column, spread over its pixels.
 * `class-token`: the same, over the class token's row only.
 *
 * @param pixels float32 (N, 3, H, W) in [0, 1].
 * @param labels int64 (N): the classes that the loss is taken against; null: the surrogate's own prediction.
 * @returns float32 (N, 1, H, W), ≥ 0.
 */
export function attentionGradient(
  pixels: Value,
  { model, weights }: Surrogate,
  at: GradientAt,
  labels: Value | null,
): Value {
  const { graph } = pixels
  const [batch, , height, width] = pixels.shape as [number, number, number, number]
  const { logits, attention } = model.forward(bakeWeights(graph, model, weights, 'surrogate.'), pixels)
  const map = attention.at(-1)
  if (!map) throw new RangeError('the surrogate has no attention')
  const { probabilities } = map
  const loss = crossEntropy(logits, labels ?? argMax(logits, 1))
  // The loss is a mean over the batch; N times it gives every image the gradient that it has alone.
  const seed = graph.constant('float32', [], [batch])
  const pull = gradients([{ value: loss, seed }], [probabilities])[0]!
  if (at === 'pixel') {
    const carried = gradients([{ value: probabilities, seed: pull }], [pixels])[0]!
    return reduceSum(abs(carried), [1], { keep: true })
  }
  if (at === 'class-token' && model.leadingTokens === 0)
    throw new RangeError('the surrogate has no class token')
  const weighted = abs(mul(probabilities, pull))
  const rows = at === 'class-token' ? slice(weighted, [2], [0], [1]) : weighted
  const grid = map.toGrid(reduceMean(rows, [1, 2]))
  const [, , down, across] = grid.shape as [number, number, number, number]
  const cells = reshape(grid, [batch, 1, down, 1, across, 1])
  return reshape(expand(cells, [batch, 1, down, height / down, across, width / across]), [
    batch,
    1,
    height,
    width,
  ])
}
