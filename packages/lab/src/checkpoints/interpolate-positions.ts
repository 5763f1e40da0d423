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

/** For a new place along an axis: the old places that it is made of, and their weights. */
interface Tap {
  readonly places: readonly number[]
  readonly weights: readonly number[]
}

/** Of every new place; edges are repeated. */
function taps(from: number, to: number): Tap[] {
  const scale = fround(from / to)
  return Array.from({ length: to }, (_, i) => {
    const at = fround(fround(scale * (i + 0.5)) - 0.5)
    const first = Math.floor(at) - 1
    const places = [0, 1, 2, 3].map(k => Math.min(Math.max(first + k, 0), from - 1))
    return { places, weights: cubicWeights(at - Math.floor(at)) }
  })
}

/**
 * The same with antialiasing: the kernel is that of a = −0.5, widens with the factor by which the grid shrinks, and
 * ends at the edges.
 */
function antialiasedTaps(from: number, to: number): Tap[] {
  const scale = fround(from / to)
  const stretch = Math.max(scale, 1)
  const reach = fround(2 * stretch)
  return Array.from({ length: to }, (_, i) => {
    const centre = fround(scale * (i + 0.5))
    const start = Math.max(Math.trunc(fround(fround(centre - reach) + 0.5)), 0)
    const end = Math.min(Math.trunc(fround(fround(centre + reach) + 0.5)), from)
    const places = Array.from({ length: end - start }, (_, k) => start + k)
    const values = places.map(place => kernel(fround(fround(place - centre + 0.5) / stretch)))
    const total = values.reduce((sum, value) => fround(sum + value), 0)
    return { places, weights: values.map(value => fround(value / total)) }
  })
}

/** Keys 1981 with a = −0.5. */
function kernel(x: number): number {
  const d = Math.abs(x)
  if (d < 1) return polynomial(d, 1.5, -2.5, 0, 1)
  return d < 2 ? polynomial(d, -0.5, 2.5, -4, 2) : 0
}

/**
 * Position embeddings for another number of patches: bicubic with half-pixel centres, as the `interpolate_pos_encoding`
 * of `transformers`. The embeddings of leading tokens stay as they are.
 *
 * @param embeddings (leading + from², width), row-major.
 * @param from patches along the side of the square, and `to` those wanted.
 * @param antialias whether PyTorch's antialiasing is on. Default: false.
 * @returns (leading + to², width).
 */
export function interpolatePositions(
  embeddings: Float32Array,
  {
    width,
    leading,
    from,
    to,
    antialias = false,
  }: { width: number; leading: number; from: number; to: number; antialias?: boolean | undefined },
): Float32Array {
  const result = new Float32Array((leading + to * to) * width)
  result.set(embeddings.subarray(0, leading * width))
  const along = antialias ? antialiasedTaps(from, to) : taps(from, to)
  along.forEach((vertical, row) => {
    along.forEach((horizontal, column) => {
      const target = (leading + row * to + column) * width
      for (let channel = 0; channel < width; channel++) {
        let sum = 0
        vertical.places.forEach((place, i) => {
          const start = leading + place * from
          let inner = 0
          horizontal.places.forEach((column, j) => {
            inner += horizontal.weights[j]! * embeddings[(start + column) * width + channel]!
          })
          sum += vertical.weights[i]! * inner
        })
        result[target + channel] = sum
      }
    })
  })
  return result
}
