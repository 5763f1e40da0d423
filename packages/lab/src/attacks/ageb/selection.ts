import {
  add,
  cast,
  div,
  greater,
  type Operand,
  reduceMax,
  reduceMin,
  reshape,
  slice,
  sub,
  topK,
  type Value,
} from 'onnxgrad'

export type Selection =
  | { readonly kind: 'quantile' /** Share of each image's pixels, in [0, 1]. */; readonly share: number }
  | {
      readonly kind: 'absolute' /** On the gradient scaled to [0, 1] for each image. */
      readonly threshold: number
    }

/**
 * Stage 2: the mask M = 1[G > τ].
 *
 * `quantile` puts τ at the value that the wanted share of the image's pixels exceeds; where pixels tie at τ,
 * fewer are selected.
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
  const count = Math.round(selection.share * pixels)
  if (count >= pixels) return above(gradient, -1)
  const ranked = topK(reshape(gradient, [batch, pixels]), count + 1)
  const threshold = reshape(slice(ranked, [1], [count], [count + 1]), [batch, 1, 1, 1])
  return above(gradient, threshold)
}
