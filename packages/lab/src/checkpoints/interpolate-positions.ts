/** Sharpness of the cubic kernel, as PyTorch has it. */
const A = -0.75

// Places and weights are float32 at every step, as PyTorch has them: in double precision the embeddings of large
// grids would differ from its by several times their own rounding.
const { fround } = Math

/** A polynomial by its coefficients from the highest power on. */
function polynomial(x: number, first: number, ...others: number[]): number {
  return others.reduce((sum, coefficient) => fround(fround(sum * x) + coefficient), first)
}

/** What four neighbours of a point contribute that lies `t` behind the second of them (Keys 1981). */
function cubicWeights(t: number): number[] {
  const near = (x: number) => polynomial(x, A + 2, -(A + 3), 0, 1)
  const far = (x: number) => polynomial(x, A, -5 * A, 8 * A, -4 * A)
  return [far(fround(t + 1)), near(t), near(fround(1 - t)), far(fround(2 - t))]
}

/** For every new place along an axis: the old places that it is made of, edges repeated, and their weights. */
function taps(from: number, to: number) {
  const scale = fround(from / to)
  return Array.from({ length: to }, (_, i) => {
    const at = fround(fround(scale * (i + 0.5)) - 0.5)
    const first = Math.floor(at) - 1
    const places = [0, 1, 2, 3].map(k => Math.min(Math.max(first + k, 0), from - 1))
    return { places, weights: cubicWeights(at - Math.floor(at)) }
  })
}

/**
 * Position embeddings for another number of patches: bicubic with half-pixel centres and no antialiasing, as the
 * `interpolate_pos_encoding` of `transformers`. The embeddings of leading tokens stay as they are.
 *
 * @param embeddings (leading + from², width), row-major.
 * @param from patches along the side of the square, and `to` those wanted.
 * @returns (leading + to², width).
 */
export function interpolatePositions(
  embeddings: Float32Array,
  { width, leading, from, to }: { width: number; leading: number; from: number; to: number },
): Float32Array {
  const result = new Float32Array((leading + to * to) * width)
  result.set(embeddings.subarray(0, leading * width))
  const along = taps(from, to)
  along.forEach((vertical, row) => {
    along.forEach((horizontal, column) => {
      const target = (leading + row * to + column) * width
      for (let channel = 0; channel < width; channel++) {
        let sum = 0
        for (let i = 0; i < 4; i++) {
          const start = leading + vertical.places[i]! * from
          let inner = 0
          for (let j = 0; j < 4; j++) {
            inner += horizontal.weights[j]! * embeddings[(start + horizontal.places[j]!) * width + channel]!
          }
          sum += vertical.weights[i]! * inner
        }
        result[target + channel] = sum
      }
    })
  })
  return result
}
