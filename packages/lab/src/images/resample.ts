/** Kernels by their names in Pillow. */
export const resampling = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const
export type Resampling = (typeof resampling)[number]

/**
 * Whose arithmetic is reproduced: Pillow's, that of PyTorch's operators on uint8, which torchvision uses, or that of
 * PyTorch's operators on float32, which round nothing and let kernels overshoot.
 */
export type Arithmetic = 'pillow' | 'torch' | 'torch-float'

/** Planar pictures, 3 × height × width, with values from 0 to 255: bytes, or float32 behind 'torch-float'. */
export interface Picture {
  readonly pixels: Uint8Array | Float32Array
  readonly height: number
  readonly width: number
}

/** A kernel: where it ends, in pixels of the larger of the two pictures, and its value. */
interface Kernel {
  readonly support: number
  readonly at: (x: number) => number
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

const kernels: Readonly<Record<Exclude<Resampling, 'nearest'>, Kernel>> = {
  box: { support: 0.5, at: x => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: x => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    at: x => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0),
  },
  // Keys 1981 with a = −0.5.
  bicubic: {
    support: 2,
    at(x) {
      const d = Math.abs(x)
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0
    },
  },
  lanczos: { support: 3, at: x => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

/**
 * Resizes a picture to the very bytes that Pillow 13 or torchvision (antialiased) make, so that a model sees what it was
 * trained on: no image library for JavaScript gives them. First along rows, then along columns, each pass in fixed
 * point and rounded to 8 bits; a kernel widens with the factor by which a picture shrinks. Pillow 13 takes columns
 * first where that is much cheaper, which changes some bytes by one; earlier versions never do.
 */
export function resample(
  picture: Picture,
  to: { readonly height: number; readonly width: number },
  kernel: Resampling,
  arithmetic: Arithmetic,
): Picture {
  const { height, width } = to
  if (kernel === 'nearest') return nearest(picture, to, arithmetic)
  let { pixels } = picture
  let rows = picture.height
  let columns = picture.width
  const alongRows = () => {
    if (width === columns) return
    const windows = windowsOf(columns, width, kernels[kernel], arithmetic)
    pixels = pass(pixels, windows, { lines: 3 * rows, length: columns, made: width, step: 1, lineStep: 1 })
    columns = width
  }
  const alongColumns = () => {
    if (height === rows) return
    const windows = windowsOf(rows, height, kernels[kernel], arithmetic)
    pixels = pass(pixels, windows, {
      lines: 3 * columns,
      length: rows,
      made: height,
      step: columns,
      lineStep: 0,
    })
    rows = height
  }
  const order = columnsFirst(picture, to, arithmetic) ? [alongColumns, alongRows] : [alongRows, alongColumns]
  for (const resize of order) resize()
  return { pixels: pixels === picture.pixels ? pixels.slice() : pixels, height, width }
}

/** Whether a picture is resized along its columns before its rows. */
export function columnsFirst(
  from: { readonly height: number; readonly width: number },
  to: { readonly height: number; readonly width: number },
  arithmetic: Arithmetic,
): boolean {
  const [fewerRows, fewerColumns] = [from.height - to.height, from.width - to.width]
  return arithmetic === 'pillow' && fewerRows > 0 && fewerRows > 2 * fewerColumns
}

/** For every pixel made: which pixels it is made of, and their weights in units of 2^−bits; without `bits`, exact. */
interface Windows {
  readonly starts: Int32Array
  readonly weights: readonly Float64Array[]
  readonly bits?: number
}

/**
 * Resizing along one axis as a matrix (from × to, row-major): it is linear in the picture, apart from rounding. The
 * products with these are what `resample` gives without rounding: as behind 'torch-float'.
 */
export function resamplingMatrix(
  from: number,
  to: number,
  kernel: Resampling,
  arithmetic: Arithmetic,
): Float32Array {
  const matrix = new Float32Array(from * to)
  if (kernel === 'nearest') {
    nearestIndices(from, to, arithmetic).forEach((at, i) => {
      matrix[at * to + i] = 1
    })
    return matrix
  }
  const { starts, weights } = windowsOf(from, to, kernels[kernel], 'torch-float')
  weights.forEach((window, i) => {
    window.forEach((weight, j) => {
      matrix[(starts[i]! + j) * to + i] = weight
    })
  })
  return matrix
}

function windowsOf(from: number, to: number, { support, at }: Kernel, arithmetic: Arithmetic): Windows {
  const scale = from / to
  const stretch = Math.max(1, scale)
  const reach = support * stretch
  const starts = new Int32Array(to)
  const shares = Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale
    const start = Math.max(0, Math.trunc(centre - reach + 0.5))
    const end = Math.min(from, Math.trunc(centre + reach + 0.5))
    starts[i] = start
    const values = Float64Array.from({ length: end - start }, (_, j) =>
      at((j + start - centre + 0.5) / stretch),
    )
    const total = values.reduce((sum, value) => sum + value, 0)
    return total === 0 ? values : values.map(value => value / total)
  })
  if (arithmetic === 'torch-float') return { starts, weights: shares }
  const bits = arithmetic === 'pillow' ? PILLOW_BITS : torchBits(shares)
  const unit = 2 ** bits
  const weights = shares.map(share =>
    share.map(value => Math.trunc(value < 0 ? value * unit - 0.5 : value * unit + 0.5)),
  )
  return { starts, weights, bits }
}

/** 32 less 8 for the pixel and 2 for what a kernel overshoots. */
const PILLOW_BITS = 22

/** As many as let the largest weight fit into int16. */
function torchBits(shares: readonly Float64Array[]): number {
  const largest = shares.reduce((all, share) => share.reduce((a, b) => Math.max(a, b), all), 0)
  let bits = 0
  while (bits < 22 && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15) bits++
  return bits
}

interface Lines {
  /** How many lines are resampled, of which length, and which length they become. */
  readonly lines: number
  readonly length: number
  readonly made: number
  /** From one pixel of a line to the next. */
  readonly step: number
  /** 1 if lines lie one after the other, 0 if they lie side by side, `step` to a plane. */
  readonly lineStep: 0 | 1
}

function pass(pixels: Picture['pixels'], { starts, weights, bits }: Windows, at: Lines): Picture['pixels'] {
  const { lines, length, made, step, lineStep } = at
  const out = bits === undefined ? new Float32Array(lines * made) : new Uint8Array(lines * made)
  const unit = bits === undefined ? 1 : 2 ** bits
  for (let line = 0; line < lines; line++) {
    // Side by side, `step` lines make up a plane.
    const plane = Math.floor(line / step)
    const from = lineStep === 1 ? line * length : plane * step * length + (line % step)
    const to = lineStep === 1 ? line * made : plane * step * made + (line % step)
    for (let i = 0; i < made; i++) {
      const weight = weights[i]!
      let sum = bits === undefined ? 0 : unit / 2
      let source = from + starts[i]! * step
      for (let j = 0; j < weight.length; j++, source += step) sum += weight[j]! * pixels[source]!
      out[to + i * step] = bits === undefined ? sum : Math.max(0, Math.min(255, Math.floor(sum / unit)))
    }
  }
  return out
}

function nearest(picture: Picture, to: { height: number; width: number }, arithmetic: Arithmetic): Picture {
  const { height, width } = to
  const rows = nearestIndices(picture.height, height, arithmetic)
  const columns = nearestIndices(picture.width, width, arithmetic)
  const pixels = emptyLike(picture, 3 * height * width)
  for (let c = 0, at = 0; c < 3; c++)
    for (const row of rows) {
      const line = (c * picture.height + row) * picture.width
      for (const column of columns) pixels[at++] = picture.pixels[line + column]!
    }
  return { pixels, height, width }
}

/**
 * Which pixel each of `count` new ones is. Both look at the middle of a pixel: Pillow adds up steps in double precision,
 * PyTorch ('nearest-exact', which `transformers` 5 takes) multiplies in single precision.
 */
function nearestIndices(from: number, count: number, arithmetic: Arithmetic): Int32Array {
  const step = arithmetic === 'pillow' ? from / count : Math.fround(from / count)
  let sum = step / 2
  return Int32Array.from({ length: count }, (_, i) => {
    const at = arithmetic === 'pillow' ? sum : Math.fround((i + 0.5) * step)
    sum += step
    return Math.min(from - 1, Math.floor(at))
  })
}

/** Which way an odd number of pixels is halved where the middle is cut out: torchvision's own crop rounds to even. */
export type HalfRounding = 'down' | 'even'

/** The middle of a picture; where it is smaller than that, black is added around it. */
export function centerCrop(
  picture: Picture,
  to: { readonly height: number; readonly width: number },
  rounding: HalfRounding = 'down',
): Picture {
  const { height, width } = to
  const offset = (from: number, wanted: number) => {
    const half = Math.floor(Math.abs(from - wanted) / 2)
    if (wanted > from) return -half
    return rounding === 'even' && (from - wanted) % 4 === 3 ? half + 1 : half
  }
  const [top, left] = [offset(picture.height, height), offset(picture.width, width)]
  const pixels = emptyLike(picture, 3 * height * width)
  const [first, last] = [Math.max(0, left), Math.min(picture.width, left + width)]
  for (let c = 0; c < 3; c++) {
    for (let y = Math.max(0, -top); y < height && y + top < picture.height; y++) {
      const line = (c * picture.height + y + top) * picture.width
      pixels.set(picture.pixels.subarray(line + first, line + last), (c * height + y) * width + first - left)
    }
  }
  return { pixels, height, width }
}

function emptyLike({ pixels }: Picture, length: number): Picture['pixels'] {
  return pixels instanceof Float32Array ? new Float32Array(length) : new Uint8Array(length)
}
