import {
  add,
  cast,
  cumSum,
  div,
  equal,
  greater,
  less,
  lessOrEqual,
  mul,
  type Operand,
  reduceMax,
  reduceMin,
  reduceSum,
  reshape,
  slice,
  sub,
  topK,
  type Value,
} from 'onnxgrad'
import type { ImageSize } from '../../images/image-source.js'

export type Selection =
  | { readonly kind: 'quantile' /** Share of each image's pixels, in [0, 1]. */; readonly share: number }
  | {
      readonly kind: 'absolute' /** On the gradient scaled to [0, 1] for each image. */
      readonly threshold: number
    }

/**
 * Stage 2: the mask M = 1[G > τ].
 *
 * `quantile` selects the wanted share of the image's pixels, rounded to whole pixels: those of the largest gradient. Of
 * pixels that tie at the threshold, the first ones are taken, row by row, so that the number is always exact.
 *
 * @param gradient float32 (N, 1, H, W), ≥ 0.
 * @returns float32 (N, 1, H, W), 0 or 1.
 */
export function select(gradient: Value, selection: Selection): Value {
  const [batch, , height, width] = gradient.shape as [number, number, number, number]
  const above = (a: Value, threshold: Operand) => cast(greater(a, threshold), 'float32')
  if (selection.kind === 'absolute') {
    const low = reduceMin(gradient, [1, 2, 3], { keep: true })
    const high = reduceMax(gradient, [1, 2, 3], { keep: true })
    // A flat gradient scales to 0 everywhere.
    const scaled = div(sub(gradient, low), add(sub(high, low), 1e-30))
    return above(scaled, selection.threshold)
  }
  const pixels = height * width
  const count = selectedPixels(selection.share, { height, width })
  if (count >= pixels) return above(gradient, -1)
  if (count === 0) return cast(less(gradient, -1), 'float32')
  const flat = reshape(gradient, [batch, pixels])
  const threshold = slice(topK(flat, count), [1], [count - 1], [count])
  const larger = above(flat, threshold)
  const tied = cast(equal(flat, threshold), 'float32')
  // Not by TopK's own order of equal values, which not every device keeps.
  const left = sub(count, reduceSum(larger, [1], { keep: true }))
  const first = cast(lessOrEqual(cumSum(tied, 1), left), 'float32')
  return reshape(add(larger, mul(tied, first)), gradient.shape)
}

/** How many pixels of an image a share of them is. */
export function selectedPixels(share: number, { height, width }: ImageSize): number {
  return Math.round(share * height * width)
}
