import { add, mul, sub, type Value } from 'onnxgrad'

export interface Blend {
  /** α: the share of the original that is kept, in [0, 1]. */
  readonly keep: number
  /** c: the constant signal, in 1/255 units. */
  readonly signal: number
}

/**
 * Stage 4: x' = α·x + (1−α)·E + c where the mask is 1, x elsewhere; not yet clipped.
 * Written as x + M·((1−α)·(E − x) + c), which leaves the unselected pixels exactly as they were.
 */
export function blend(pixels: Value, eroded: Value, mask: Value, { keep, signal }: Blend): Value {
  const change = add(mul(sub(eroded, pixels), 1 - keep), signal / 255)
  return add(pixels, mul(mask, change))
}
