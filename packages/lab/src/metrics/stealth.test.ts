import { describe, expect, it } from 'vitest'
import { pixelsInMemory } from '../images/image-set.js'
import { linf, meanAbs, PSNR_CAP, psnr, ssim, stealth } from './stealth.js'
import { stealthGoldens } from './stealth-goldens.js'

// The formulas of tools/make-stealth-goldens.py; whoever changes one changes the other.

type Formula = (c: number, y: number, x: number, height: number, width: number) => number

const images: Record<string, Formula> = {
  busy: (c, y, x) => (x * x * 3 + y * 7 + x * y * 5 + c * 37) % 256,
  smooth: (c, y, x, height, width) => 40 + c * 25 + ((x * (width - x) + 2 * y * (height - y)) % 160),
  flat: () => 100,
}

function make(formula: Formula, height: number, width: number): Uint8Array {
  const plane = height * width
  return Uint8Array.from({ length: 3 * plane }, (_, i) =>
    formula(Math.floor(i / plane), Math.floor((i % plane) / width), i % width, height, width),
  )
}

const changes: Record<string, (image: Uint8Array, height: number, width: number) => Uint8Array> = {
  noise: image => image.map((v, i) => Math.min(255, Math.max(0, v + ((i * 7919 + 13) % 17) - 8))),
  invert: image => image.map(v => 255 - v),
  brighten: image => image.map(v => Math.min(255, v + 1)),
  oneValue: (image, height, width) =>
    image.with(height * width + 7 * width + 9, image[height * width + 7 * width + 9]! + 1),
  erode: (image, height, width) => {
    const at: Formula = (c, y, x) => {
      const inside = y >= 0 && y < height && x >= 0 && x < width
      return inside ? image[(c * height + y) * width + x]! : 255
    }
    const around = [-1, 0, 1]
    const least: Formula = (c, y, x) =>
      Math.min(...around.flatMap(dy => around.map(dx => at(c, y + dy, x + dx, height, width))))
    return make(least, height, width)
  },
}

describe('against scikit-image', () => {
  for (const golden of stealthGoldens) {
    const { image, change, height, width } = golden
    it(`${image} against ${change}, ${height} × ${width}`, () => {
      const clean = make(images[image]!, height, width)
      const triggered = changes[change]!(clean, height, width)
      expect(psnr(clean, triggered)).toBeCloseTo(golden.psnr, 10)
      expect(ssim(clean, triggered, { height, width })).toBeCloseTo(golden.ssim, 10)
      expect(linf(clean, triggered)).toBe(golden.linf)
      expect(meanAbs(clean, triggered)).toBeCloseTo(golden.meanAbs, 12)
    })
  }
})

describe('identical images', () => {
  const size = { height: 16, width: 12 }
  const image = make(images.busy!, size.height, size.width)

  it('are infinitely near, and capped in a mean', async () => {
    expect(psnr(image, image)).toBe(Number.POSITIVE_INFINITY)
    expect(ssim(image, image, size)).toBeCloseTo(1, 12)
    const result = await stealth(pixelsInMemory(image, size), pixelsInMemory(image, size))
    expect(result.psnr.value).toBe(PSNR_CAP)
    expect(result.linf.value).toBe(0)
    expect(result.meanAbs.value).toBe(0)
  })
})

describe('stealth', () => {
  const size = { height: 32, width: 32 }
  const a = make(images.busy!, 32, 32)
  const b = make(images.smooth!, 32, 32)

  it('averages the measures of each image', async () => {
    const clean = Uint8Array.from([...a, ...b])
    const noisy = changes.noise!(a, 32, 32)
    const eroded = changes.erode!(b, 32, 32)
    const result = await stealth(
      pixelsInMemory(clean, size),
      pixelsInMemory(Uint8Array.from([...noisy, ...eroded]), size),
    )
    expect(result.psnr.n).toBe(2)
    expect(result.psnr.value).toBeCloseTo((psnr(a, noisy) + psnr(b, eroded)) / 2, 12)
    expect(result.ssim.value).toBeCloseTo((ssim(a, noisy, size) + ssim(b, eroded, size)) / 2, 12)
    expect(result.linf.value).toBeCloseTo((linf(a, noisy) + linf(b, eroded)) / 2, 12)
    expect(result.meanAbs.value).toBeCloseTo((meanAbs(a, noisy) + meanAbs(b, eroded)) / 2, 12)
  })

  it('refuses what does not fit', async () => {
    const [one, two] = [pixelsInMemory(a, size), pixelsInMemory(Uint8Array.from([...a, ...b]), size)]
    await expect(stealth(two, one)).rejects.toThrow(/2 images of 32×32 cannot be compared with 1/)
    const none = pixelsInMemory(a.subarray(0, 0), size)
    await expect(stealth(none, none)).rejects.toThrow(RangeError)
    expect(() => ssim(a, b, { height: 10, width: 32 })).toThrow(/at least 11 × 11/)
    expect(() => ssim(a, b, { height: 16, width: 32 })).toThrow(RangeError)
    expect(() => psnr(a, b.subarray(1))).toThrow(RangeError)
  })
})
