import {
  abs,
  argMax,
  crossEntropy,
  gather,
  gradients,
  InputError,
  mul,
  reduceMean,
  reduceSum,
  slice,
  type Value,
} from 'onnxgrad'
import type { ImageSize } from '../../images/image-source.js'
import type { ForwardResult, Model } from '../../models/model.js'
import { type Surrogate, surrogateForward } from '../core/surrogate.js'

/** What the gradient is taken at: input pixels, or patches: the columns of the attention map. */
export type GradientAt = 'pixel' | 'patch' | 'class-token'

/**
 * Stage 1: how strongly the loss pulls at every pixel through the last block's attention A alone; where a model has
 * no attention, A is the activations of its last stage.
 *
 * `pixel`: ∂L/∂A is held constant and carried back through A to the pixels; Σ over channels of its magnitude.
 * `patch`: mean over heads and query tokens of |A ⊙ ∂L/∂A| in the patch's column, spread over its pixels; for
 * activations, the mean over their channels.
 * `class-token`: the same, over the class token's row only.
 *
 * Where the surrogate resizes the images, `pixel` carries back through that, and the patches are laid over the images.
 *
 * @param pixels float32 (N, 3, H, W) in [0, 1], of the size that the surrogate is given.
 * @param labels int64 (N): the classes that the loss is taken against; null: the surrogate's own prediction.
 * @returns float32 (N, 1, H, W), ≥ 0.
 * @throws InputError if the surrogate does not have what the gradient is to be taken at.
 */
export function attentionGradient(
  pixels: Value,
  surrogate: Omit<Surrogate, 'id'>,
  at: GradientAt,
  labels: Value | null,
): Value {
  const { graph } = pixels
  const [batch, , height, width] = pixels.shape as [number, number, number, number]
  const { model } = surrogate
  const result = surrogateForward(surrogate, pixels)
  const { logits } = result
  const { focus, toGrid, cellSide } = focusOf(result, model, at)
  const loss = crossEntropy(logits, labels ?? argMax(logits, 1))
  // The loss is a mean over the batch; N times it gives every image the gradient that it has alone.
  const seed = graph.constant('float32', [], [batch])
  const pull = gradients([{ value: loss, seed }], [focus])[0]!
  if (at === 'pixel') {
    const carried = gradients([{ value: focus, seed: pull }], [pixels])[0]!
    return reduceSum(abs(carried), [1], { keep: true })
  }
  return spread(
    toGrid(abs(mul(focus, pull))),
    { height, width },
    cellSide === undefined ? undefined : { side: cellSide, of: model.imageSize },
  )
}

/** What the gradient is taken at, and how a weight of each of its elements becomes one of each patch (N, 1, h, w). */
interface Focus {
  readonly focus: Value
  toGrid(weights: Value): Value
  readonly cellSide?: number | undefined
}

function focusOf({ attention, activations }: ForwardResult, model: Model, at: GradientAt): Focus {
  if (at === 'class-token' && !(model.hasClassToken ?? model.leadingTokens > 0))
    throw new InputError(
      `the surrogate (${model.modelType}) has no class token: take the gradient at pixel or patch`,
    )
  const map = attention.at(-1)
  if (map) {
    return {
      focus: map.probabilities,
      cellSide: map.cellSide,
      toGrid(weights) {
        const rows = at === 'class-token' ? slice(weights, [2], [0], [1]) : weights
        return map.toGrid(reduceMean(rows, [1, 2]))
      },
    }
  }
  if (activations) return { focus: activations, toGrid: weights => reduceMean(weights, [1], { keep: true }) }
  throw new InputError(
    `the surrogate (${model.modelType}) has neither attention nor activations: use another one`,
  )
}

/**
 * Cells (N, 1, h, w) to pixels (N, 1, H, W): each pixel has the value of the cell that its upper left corner lies in.
 * @param cell a cell's side, where `of` such units are a side of the image. Default: the cells fill it evenly.
 */
function spread(grid: Value, { height, width }: ImageSize, cell?: { side: number; of: number }): Value {
  const nearest = (axis: number, pixels: number) =>
    Array.from({ length: pixels }, (_, i) =>
      Math.floor(cell ? (i * cell.of) / (cell.side * pixels) : (i * grid.shape[axis]!) / pixels),
    )
  return gather(gather(grid, nearest(2, height), 2), nearest(3, width), 3)
}
