import { Graph } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { rng } from '../../random/rng.js'
import { type Blend, blend } from './blend.js'
import { type Adjustment, adjust, adjustments } from './stealth-adjustment.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const [BATCH, SIDE] = [2, 6]
const PLANE = SIDE * SIDE
const shape = [BATCH, 3, SIDE, SIDE]
const random = rng(1, 'blend')
const draw = (low: number, high: number, size = BATCH * 3 * PLANE) =>
  Float32Array.from({ length: size }, () => low + (high - low) * random.uniform())
const original = draw(0.1, 0.8)
const eroded = original.map(v => v * 0.7)
const mask = Float32Array.from({ length: BATCH * PLANE }, () => (random.uniform() < 0.4 ? 1 : 0))
const selected = (i: number) => mask[Math.floor(i / (3 * PLANE)) * PLANE + (i % PLANE)] === 1

async function blended(options: Blend) {
  const graph = new Graph()
  const [x, e] = [graph.input('x', 'float32', shape), graph.input('e', 'float32', shape)]
  const m = graph.input('m', 'float32', [BATCH, 1, SIDE, SIDE])
  graph.output('y', blend(x, e, m, options))
  return numbers((await evaluate(runtime, graph, { x: original, e: eroded, m: mask })).y)
}

async function adjusted(changed: Float32Array, adjustment: Adjustment) {
  const graph = new Graph()
  const [y, x] = [graph.input('y', 'float32', shape), graph.input('x', 'float32', shape)]
  graph.output('z', adjust(y, x, adjustment))
  return numbers((await evaluate(runtime, graph, { y: changed, x: original })).z)
}

/** Every pixel's red, green and blue of image n. */
const pixelsOf = (values: ArrayLike<number>, n: number) =>
  Array.from({ length: PLANE }, (_, i) => [0, 1, 2].map(c => values[(n * 3 + c) * PLANE + i]!))
const average = (values: number[]) => values.reduce((a, b) => a + b) / values.length
const meanValue = (values: ArrayLike<number>, n: number) =>
  average(pixelsOf(values, n).map(rgb => Math.max(...rgb)))
const meanSaturation = (values: ArrayLike<number>, n: number) =>
  average(pixelsOf(values, n).map(rgb => (Math.max(...rgb) - Math.min(...rgb)) / Math.max(...rgb)))
/** Where the hue lies between the largest and the least channel. */
const hue = (rgb: number[]) => {
  const [low, middle, high] = rgb.toSorted((a, b) => a - b) as [number, number, number]
  return (middle - low) / (high - low)
}

describe('blend', () => {
  it.each([
    { keep: 0.5, signal: 4 },
    { keep: 0, signal: -8 },
    { keep: 1, signal: 2 },
    { keep: 0.25, signal: 0 },
  ])('keeps %o where selected, and every other pixel to the bit', async ({ keep, signal }) => {
    const got = await blended({ keep, signal })
    got.forEach((value, i) => {
      if (!selected(i)) expect(value).toBe(original[i])
      else expect(value).toBeCloseTo(keep * original[i]! + (1 - keep) * eroded[i]! + signal / 255, 6)
    })
    expect(got.filter((_, i) => selected(i)).length).toBeGreaterThan(0)
  })
})

describe('stealth adjustment', () => {
  // Pixels darkened here and there, as erosion does; within bounds that keep clear of the final clipping.
  const changed = original.map((v, i) => (selected(i) ? 0.8 * v + 0.02 * (i % 3) : v))

  it("'off' only clips", async () => {
    expect(await adjusted(changed, 'off')).toEqual(Array.from(changed))
    const far = changed.map((v, i) => v + (i % 7 === 0 ? 1 : i % 11 === 0 ? -1 : 0))
    const clipped = Array.from(far, v => Math.min(1, Math.max(0, v)))
    expect(await adjusted(far, 'off')).toEqual(clipped)
  })

  it("'brightness' restores each image's mean value and no saturation", async () => {
    const got = await adjusted(changed, 'brightness')
    for (let n = 0; n < BATCH; n++) {
      expect(Math.abs(meanValue(changed, n) - meanValue(original, n))).toBeGreaterThan(0.01)
      expect(meanValue(got, n)).toBeCloseTo(meanValue(original, n), 4)
      // One factor for the whole image.
      const factor = meanValue(original, n) / meanValue(changed, n)
      pixelsOf(got, n).forEach((rgb, i) => {
        const before = pixelsOf(changed, n)[i]!
        rgb.forEach((v, c) => {
          expect(v).toBeCloseTo(before[c]! * factor, 4)
        })
      })
      expect(meanSaturation(got, n)).toBeCloseTo(meanSaturation(changed, n), 4)
    }
  })

  it("'brightness-saturation' restores both means and keeps the hue", async () => {
    const got = await adjusted(changed, 'brightness-saturation')
    for (let n = 0; n < BATCH; n++) {
      expect(Math.abs(meanSaturation(changed, n) - meanSaturation(original, n))).toBeGreaterThan(1e-3)
      expect(meanValue(got, n)).toBeCloseTo(meanValue(original, n), 4)
      expect(meanSaturation(got, n)).toBeCloseTo(meanSaturation(original, n), 4)
      pixelsOf(got, n).forEach((rgb, i) => {
        expect(hue(rgb)).toBeCloseTo(hue(pixelsOf(changed, n)[i]!), 3)
      })
    }
  })

  it('leaves an unchanged image as it is', async () => {
    for (const adjustment of adjustments) {
      const got = await adjusted(original, adjustment)
      got.forEach((v, i) => {
        expect(v).toBeCloseTo(original[i]!, 4)
      })
    }
  })

  it('keeps black, white and gray images in bounds', async () => {
    for (const level of [0, 0.5, 1]) {
      for (const adjustment of adjustments) {
        const got = await adjusted(new Float32Array(original.length).fill(level), adjustment)
        expect(got.every(v => v >= 0 && v <= 1)).toBe(true)
      }
    }
  })
})
