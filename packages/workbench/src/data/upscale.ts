import type { ImageSize } from '@ageb/lab'
import sharp from 'sharp'

/** Enlarges interleaved RGB (height × width × 3) to planar RGB (3 × height × width). */
export type Upscaler = (interleaved: Uint8Array) => Uint8Array

/** libvips looks positions up in 64ths of a pixel, and weights in 4096ths. */
const positions = 64
const weightBits = 12
const half = 1 << (weightBits - 1)

/** Where the four samples of each output value are, and their weights. */
interface Axis {
  readonly samples: Int32Array
  readonly weights: Int32Array
}

const known = new Map<string, Promise<Upscaler | undefined>>()

/**
 * The enlargement that sharp makes when it resizes with Lanczos3 to a greater height and width: libvips then takes
 * bicubic (Catmull-Rom) interpolation in fixed point, at k / scale − ½, edges repeated. Computed row by row and then
 * column by column it gives the same bytes in a quarter of the time. That they are the same is tried on noise, once for
 * each pair of sizes; noise of that size meets every weight there is.
 *
 * @param from a smaller height and a smaller width than `to`
 * @returns undefined if sharp gives other bytes
 */
export function upscalerFor(from: ImageSize, to: ImageSize): Promise<Upscaler | undefined> {
  const key = [from.height, from.width, to.height, to.width].join(' ')
  const found = known.get(key) ?? tried(from, to)
  known.set(key, found)
  return found
}

async function tried(from: ImageSize, to: ImageSize): Promise<Upscaler | undefined> {
  const upscale = upscaler(from, to)
  let state = 1
  const noise = Uint8Array.from({ length: 3 * from.height * from.width }, () => {
    state = Math.imul(state, 1103515245) + 12345
    return state >>> 24
  })
  const { height, width } = from
  const expected = await sharp(noise, { raw: { height, width, channels: 3 } })
    .resize({ height: to.height, width: to.width, fit: 'fill', kernel: 'lanczos3' })
    .raw()
    .toBuffer()
  const planar = upscale(noise)
  const plane = to.height * to.width
  for (let i = 0; i < planar.length; i++)
    if (planar[(i % 3) * plane + Math.floor(i / 3)] !== expected[i]) return undefined
  return upscale
}

function upscaler(from: ImageSize, to: ImageSize): Upscaler {
  const columns = axis(from.width, to.width)
  const rows = axis(from.height, to.height)
  const plane = to.height * to.width
  const wide = new Int16Array(from.height * to.width)
  return interleaved => {
    const planar = new Uint8ClampedArray(3 * plane)
    for (let channel = 0; channel < 3; channel++) {
      for (let y = 0; y < from.height; y++) {
        const row = interleaved.subarray(3 * from.width * y + channel, 3 * from.width * (y + 1))
        widen(row, columns, wide.subarray(to.width * y, to.width * (y + 1)))
      }
      for (let y = 0; y < to.height; y++) {
        const start = channel * plane + y * to.width
        blend(wide, to.width, rows, y, planar.subarray(start, start + to.width))
      }
    }
    return new Uint8Array(planar.buffer)
  }
}

/** One channel of an interleaved row, enlarged. */
function widen(row: Uint8Array, { samples, weights }: Axis, out: Int16Array): void {
  for (let x = 0, i = 0; x < out.length; x++, i += 4) {
    const sum =
      weights[i]! * row[3 * samples[i]!]! +
      weights[i + 1]! * row[3 * samples[i + 1]!]! +
      weights[i + 2]! * row[3 * samples[i + 2]!]! +
      weights[i + 3]! * row[3 * samples[i + 3]!]!
    out[x] = (sum + half) >> weightBits
  }
}

/** Row `y` of the output, of four rows of its width. */
function blend(
  wide: Int16Array,
  width: number,
  { samples, weights }: Axis,
  y: number,
  out: Uint8ClampedArray,
): void {
  const i = 4 * y
  const [p, q, r, s] = [weights[i]!, weights[i + 1]!, weights[i + 2]!, weights[i + 3]!]
  const start = (row: number) => width * samples[i + row]!
  const [a, b, c, d] = [start(0), start(1), start(2), start(3)]
  for (let x = 0; x < width; x++)
    out[x] = (p * wide[a + x]! + q * wide[b + x]! + r * wide[c + x]! + s * wide[d + x]! + half) >> weightBits
}

function axis(from: number, to: number): Axis {
  const samples = new Int32Array(4 * to)
  const weights = new Int32Array(4 * to)
  for (let k = 0; k < to; k++) {
    const at = k / (to / from) - 0.5
    const first = Math.floor(at)
    // To the nearest 64th, as libvips rounds it.
    const step = (Math.floor((at - first) * 2 * positions) + 1) >> 1
    const coefficients = catmullRom(step / positions)
    for (let i = 0; i < 4; i++) {
      samples[4 * k + i] = Math.min(from - 1, Math.max(0, first - 1 + i))
      weights[4 * k + i] = Math.trunc(coefficients[i]! * 2 ** weightBits)
    }
  }
  return { samples, weights }
}

/** Weights of the four samples around a place `x` of the way from the second to the third. */
function catmullRom(x: number): [number, number, number, number] {
  const first = -0.5 * x * (1 - x) ** 2
  const last = -0.5 * x ** 2 * (1 - x)
  return [first, 1 - x - first + (last - first), x - last - (last - first), last]
}
