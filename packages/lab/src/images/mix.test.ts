import { describe, expect, it } from 'vitest'
import { rng } from '../random/rng.js'
import { tinyImages } from '../testing/tiny.js'
import { cutmix, mix, mixup, randomBox } from './mix.js'

const [COUNT, SIDE, CLASSES] = [6, 8, 3]
const images = tinyImages(COUNT)
const batch = { ...images, classes: CLASSES }
const size = 3 * SIDE * SIDE
const partners = [1, 2, 3, 4, 5, 0]
const oneHot = Array.from({ length: COUNT * CLASSES }, (_, i) =>
  i % CLASSES === Math.floor(i / CLASSES) % 3 ? 1 : 0,
)
const rows = (targets: Float32Array) =>
  Array.from({ length: COUNT }, (_, i) => Array.from(targets.subarray(i * CLASSES, (i + 1) * CLASSES)))

describe('mixup', () => {
  it('of the whole image is the image, of none of it its partner', () => {
    const whole = mixup(batch, 1, partners)
    expect(whole.pixels).toEqual(images.pixels)
    expect(Array.from(whole.targets)).toEqual(oneHot)
    const none = mixup(batch, 0, partners)
    expect(none.pixels.subarray(0, size)).toEqual(images.pixels.subarray(size, 2 * size))
    expect(rows(none.targets)[0]).toEqual(rows(whole.targets)[1])
  })

  it('rounds to the nearest value, and mixes targets alike', () => {
    const pair = {
      pixels: Uint8Array.of(0, 100, 255, 255, 101, 255, 200, 0, 0, 10, 20, 255),
      labels: [0, 2],
      height: 1,
      width: 2,
      classes: CLASSES,
    }
    const { pixels, targets } = mixup(pair, 0.3, [1, 0])
    // 0.3 × 0 + 0.7 × 200, …; 0.3 × 255 + 0.7 × 255 must not fall to 254.
    expect(Array.from(pixels.subarray(0, 6))).toEqual([140, 30, 77, 84, 44, 255])
    expect(Array.from(targets)).toEqual([0.3, 0, 0.7, 0.7, 0, 0.3].map(Math.fround))
  })

  it('of two images of a class is wholly of that class', () => {
    const same = { ...batch, labels: [1, 1, 1, 1, 1, 1] }
    for (const row of rows(mixup(same, 0.3, partners).targets)) expect(row).toEqual([0, 1, 0])
  })
})

describe('cutmix', () => {
  it('shows the partner within the box and the image without, by area', () => {
    const box = { top: 2, left: 5, height: 4, width: 3 }
    const { pixels, targets } = cutmix(batch, box, partners)
    pixels.forEach((value, at) => {
      const [image, x, y] = [Math.floor(at / size), at % SIDE, Math.floor(at / SIDE) % SIDE]
      const inside = x >= 5 && x < 8 && y >= 2 && y < 6
      const from = inside ? partners[image]! * size + (at % size) : at
      expect(value).toBe(images.pixels[from])
    })
    expect(rows(targets)[0]).toEqual([52 / 64, 12 / 64, 0])
  })

  it('of an empty box is the image', () => {
    const { pixels, targets } = cutmix(batch, { top: 3, left: 3, height: 0, width: 0 }, partners)
    expect(pixels).toEqual(images.pixels)
    expect(Array.from(targets)).toEqual(oneHot)
  })

  it('takes boxes within the image, of the wanted share where nothing is cut off', () => {
    const random = rng(5, 'boxes')
    const shares: number[] = []
    for (let i = 0; i < 500; i++) {
      const box = randomBox({ height: 40, width: 80 }, 0.75, random)
      expect(Math.min(box.top, box.left, box.height, box.width)).toBeGreaterThanOrEqual(0)
      expect(box.top + box.height).toBeLessThanOrEqual(40)
      expect(box.left + box.width).toBeLessThanOrEqual(80)
      shares.push((box.height * box.width) / 3200)
    }
    expect(Math.max(...shares)).toBe(0.25)
    expect(shares.filter(share => share === 0.25).length).toBeGreaterThan(100)
    expect(Math.min(...shares)).toBeLessThan(0.15)
  })
})

describe('mix', () => {
  it('is decided by its seed, and every row of targets adds up to 1', () => {
    for (const alphas of [
      { mixup: 0.2, cutmix: 0 },
      { mixup: 0, cutmix: 1 },
      { mixup: 0.8, cutmix: 1 },
    ]) {
      expect(mix(batch, alphas, rng(1, 'mix', 4))).toEqual(mix(batch, alphas, rng(1, 'mix', 4)))
      expect(mix(batch, alphas, rng(1, 'mix', 5))).not.toEqual(mix(batch, alphas, rng(1, 'mix', 4)))
      for (let i = 0; i < 50; i++) {
        for (const row of rows(mix(batch, alphas, rng(2, 'mix', i)).targets)) {
          expect(Math.min(...row)).toBeGreaterThanOrEqual(0)
          expect(row[0]! + row[1]! + row[2]!).toBeCloseTo(1, 6)
        }
      }
    }
  })

  it('gives either kind an equal chance where both are on', () => {
    // A pixel cut out of another image is one of its values; a blend of 0 and 255 is neither.
    const extremes = {
      ...batch,
      pixels: Uint8Array.from(images.pixels, (_, i) => (Math.floor(i / size) % 2 ? 255 : 0)),
    }
    const blended = Array.from({ length: 400 }, (_, i) =>
      mix(extremes, { mixup: 8, cutmix: 8 }, rng(3, 'mix', i)).pixels.some(v => v !== 0 && v !== 255),
    ).filter(Boolean).length
    // Of mixup's, those whose permutation pairs only equals show no blend: 36 of 720. Expected 190, deviation 10.
    expect(blended).toBeGreaterThan(140)
    expect(blended).toBeLessThan(240)
  })
})
