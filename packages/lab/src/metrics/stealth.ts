import { type ImageSize, imageSize, type PixelSource } from '../images/image-source.js'
import type { Stealth } from './figures.js'
import { mean } from './rates.js'

/**
 * What an image's PSNR counts at most, dB, in the mean over images: identical images have an infinite PSNR,
 * which no mean survives. One value of a 224 × 224 image changed by one is 99.9 dB.
 */
export const PSNR_CAP = 100

/**
 * Peak signal-to-noise ratio of two 8-bit images, dB: 10 · log₁₀(255² / MSE), the error taken over all
 * channels together. Identical images give Infinity.
 *
 * @throws RangeError when the lengths differ or are 0
 */
export function psnr(a: Uint8Array, b: Uint8Array): number {
  sameLength(a, b)
  let squares = 0
  for (let i = 0; i < a.length; i++) squares += (a[i]! - b[i]!) ** 2
  return 10 * Math.log10((255 * 255 * a.length) / squares)
}

/** The largest change of any value, in 1/255 units. Throws RangeError when the lengths differ or are 0. */
export function linf(a: Uint8Array, b: Uint8Array): number {
  sameLength(a, b)
  let largest = 0
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!))
  return largest
}

/** The mean absolute change, in 1/255 units. Throws RangeError when the lengths differ or are 0. */
export function meanAbs(a: Uint8Array, b: Uint8Array): number {
  sameLength(a, b)
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!)
  return sum / a.length
}

/**
 * Structural similarity of two 8-bit images (planar, 3 × height × width), from −1 to 1; identical images
 * give 1. Wang et al.'s constants: 11 × 11 Gaussian window of σ = 1.5, K₁ = 0.01, K₂ = 0.03, population
 * covariance, range 255; averaged over the windows that lie wholly inside the image, then over channels.
 * The same number as scikit-image's `structural_similarity(a, b, gaussian_weights=True, sigma=1.5,
 * use_sample_covariance=False, data_range=255, channel_axis=2)`.
 *
 * @throws RangeError when a side is shorter than 11, or a length is not 3 × height × width
 *
 * Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, Image quality assessment: from error visibility to
 * structural similarity, IEEE Transactions on Image Processing 13 (2004) 600–612.
 */
export function ssim(a: Uint8Array, b: Uint8Array, size: ImageSize): number {
  return ssimOf(size)(a, b)
}

/**
 * How far triggered images are from their clean originals: the mean over images of each measure, with the
 * normal 95 % interval. An image's PSNR counts as at most `PSNR_CAP` dB.
 *
 * @param triggered the same images triggered, in the same order, after rounding to 8 bits
 * @throws RangeError when there is no image, a side is shorter than 11, or the sources differ in number or size
 */
export async function stealth(
  clean: PixelSource,
  triggered: PixelSource,
  progress?: (done: number) => void,
): Promise<Stealth> {
  const { count, height, width } = clean
  if (triggered.count !== count || triggered.height !== height || triggered.width !== width) {
    throw new RangeError(
      `${count} images of ${width}×${height} cannot be compared with ${triggered.count} of ${triggered.width}×${triggered.height}`,
    )
  }
  const size = imageSize(clean)
  const similarity = ssimOf(clean)
  const values = {
    psnr: new Float64Array(count),
    ssim: new Float64Array(count),
    linf: new Float64Array(count),
    meanAbs: new Float64Array(count),
  }
  const [a, b] = [new Uint8Array(size), new Uint8Array(size)]
  for (let i = 0; i < count; i++) {
    await Promise.all([clean.read([i], a), triggered.read([i], b)])
    values.psnr[i] = Math.min(psnr(a, b), PSNR_CAP)
    values.ssim[i] = similarity(a, b)
    values.linf[i] = linf(a, b)
    values.meanAbs[i] = meanAbs(a, b)
    progress?.(i + 1)
  }
  return {
    psnr: mean(values.psnr),
    ssim: mean(values.ssim),
    linf: mean(values.linf),
    meanAbs: mean(values.meanAbs),
  }
}

export const SSIM_WINDOW = 11
const C1 = (0.01 * 255) ** 2
const C2 = (0.03 * 255) ** 2

const GAUSSIAN = gaussian(SSIM_WINDOW, 1.5)

function gaussian(taps: number, sigma: number): Float64Array {
  const weights = Float64Array.from({ length: taps }, (_, i) =>
    Math.exp(-0.5 * ((i - (taps >> 1)) / sigma) ** 2),
  )
  const sum = weights.reduce((total, weight) => total + weight, 0)
  return weights.map(weight => weight / sum)
}

/** SSIM of images of one size, its working memory shared by all calls. */
function ssimOf({ height, width }: ImageSize): (a: Uint8Array, b: Uint8Array) => number {
  if (!(height >= SSIM_WINDOW && width >= SSIM_WINDOW)) {
    throw new RangeError(
      `SSIM needs images of at least ${SSIM_WINDOW} × ${SSIM_WINDOW}, not ${height} × ${width}`,
    )
  }
  const plane = height * width
  // Only windows inside the image count, so no border is ever filtered: both passes shrink their axis.
  const columns = width - SSIM_WINDOW + 1
  const rows = height - SSIM_WINDOW + 1
  // Each row's a, b, a² + b² (the variances only occur as a sum) and ab, filtered horizontally.
  const x = new Float64Array(height * columns)
  const y = new Float64Array(height * columns)
  const squares = new Float64Array(height * columns)
  const products = new Float64Array(height * columns)

  const filterRows = (a: Uint8Array, b: Uint8Array, start: number) => {
    for (let row = 0, out = 0; row < height; row++) {
      for (let column = 0; column < columns; column++, out++) {
        let sx = 0
        let sy = 0
        let ss = 0
        let sp = 0
        const first = start + row * width + column
        for (let tap = 0; tap < SSIM_WINDOW; tap++) {
          const weight = GAUSSIAN[tap]!
          const va = a[first + tap]!
          const vb = b[first + tap]!
          sx += weight * va
          sy += weight * vb
          ss += weight * (va * va + vb * vb)
          sp += weight * (va * vb)
        }
        x[out] = sx
        y[out] = sy
        squares[out] = ss
        products[out] = sp
      }
    }
  }

  const sumOfWindows = () => {
    let total = 0
    for (let first = 0; first < rows * columns; first++) {
      let ux = 0
      let uy = 0
      let ss = 0
      let sp = 0
      for (let tap = 0, at = first; tap < SSIM_WINDOW; tap++, at += columns) {
        const weight = GAUSSIAN[tap]!
        ux += weight * x[at]!
        uy += weight * y[at]!
        ss += weight * squares[at]!
        sp += weight * products[at]!
      }
      const cross = ux * uy
      const power = ux * ux + uy * uy
      total += ((2 * cross + C1) * (2 * (sp - cross) + C2)) / ((power + C1) * (ss - power + C2))
    }
    return total
  }

  return (a, b) => {
    if (a.length !== 3 * plane || b.length !== 3 * plane) {
      throw new RangeError(
        `a 3 × ${height} × ${width} image takes ${3 * plane} values, not ${a.length}, ${b.length}`,
      )
    }
    let total = 0
    for (let channel = 0; channel < 3; channel++) {
      filterRows(a, b, channel * plane)
      total += sumOfWindows()
    }
    return total / (3 * rows * columns)
  }
}

function sameLength(a: Uint8Array, b: Uint8Array): void {
  if (a.length !== b.length || a.length === 0) {
    throw new RangeError(`two images of the same size are needed, not of ${a.length} and ${b.length} values`)
  }
}
