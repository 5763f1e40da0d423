/**
 * Bicubic upsampling of a plane of numbers whose corners stay corners: what PyTorch's `interpolate` does with
 * `mode='bicubic', align_corners=True`. Cubic convolution (Keys 1981) with a = −0.75; beyond an edge, its last value counts.
 *
 * @param values rows × columns.
 * @returns height × width.
 */
export function upsampleBicubic(
  values: Float64Array,
  from: { readonly rows: number; readonly columns: number },
  to: { readonly height: number; readonly width: number },
): Float64Array {
  const down = tapsOf(from.rows, to.height)
  const across = tapsOf(from.columns, to.width)
  const out = new Float64Array(to.height * to.width)
  for (let y = 0; y < to.height; y++) {
    for (let x = 0; x < to.width; x++) {
      let sum = 0
      for (const { at: row, weight: high } of down[y]!)
        for (const { at: column, weight: wide } of across[x]!)
          sum += high * wide * values[row * from.columns + column]!
      out[y * to.width + x] = sum
    }
  }
  return out
}

/** For each of `to` places along an axis, the four of `from` that it is made of. */
function tapsOf(from: number, to: number) {
  return Array.from({ length: to }, (_, i) => {
    const at = to > 1 ? (i * (from - 1)) / (to - 1) : 0
    const floor = Math.floor(at)
    return [-1, 0, 1, 2].map(offset => ({
      at: Math.min(from - 1, Math.max(0, floor + offset)),
      weight: cubic(Math.abs(at - floor - offset)),
    }))
  })
}

/** Keys' kernel at a distance. */
function cubic(d: number): number {
  const a = -0.75
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? a * (((d - 5) * d + 8) * d - 4) : 0
}
