import { add, clip, div, max, min, mul, reduceMax, reduceMean, reduceMin, sub, type Value } from 'onnxgrad'

export const adjustments = ['off', 'brightness', 'brightness-saturation'] as const
export type Adjustment = (typeof adjustments)[number]

const TINY = 1e-6
const value = (rgb: Value) => reduceMax(rgb, [1], { keep: true })
const saturation = (rgb: Value) => {
  const v = value(rgb)
  return div(sub(v, reduceMin(rgb, [1], { keep: true })), add(v, TINY))
}
const mean = (x: Value) => reduceMean(x, [1, 2, 3], { keep: true })

/**
 * Stage 5: moves each image's mean HSV saturation and mean HSV value back to those of the original.
 *
 * Both are scaled, which keeps the hue: saturation by pulling each channel towards or away from the pixel's
 * largest one (no further than fully saturated), then value by a common factor. Means are matched before the
 * final clipping.
 *
 * @param changed float32 (N, 3, H, W), any range; it is clipped to [0, 1] first, HSV being undefined outside.
 * @param original float32 (N, 3, H, W) in [0, 1].
 */
export function adjust(changed: Value, original: Value, adjustment: Adjustment): Value {
  let rgb = clip(changed, 0, 1)
  if (adjustment === 'off') return rgb
  if (adjustment === 'brightness-saturation') {
    const now = saturation(rgb)
    const factor = div(mean(saturation(original)), add(mean(now), TINY))
    // The factor at which a pixel's saturation would pass 1.
    const most = div(
      rgb.graph.constant('float32', [], [1]),
      max(now, rgb.graph.constant('float32', [], [TINY])),
    )
    const bounded = min(factor, most)
    const v = value(rgb)
    rgb = sub(v, mul(sub(v, rgb), bounded))
  }
  return clip(mul(rgb, div(mean(value(original)), add(mean(value(rgb)), TINY))), 0, 1)
}
