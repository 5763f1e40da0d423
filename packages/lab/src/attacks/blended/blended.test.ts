import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { readAll } from '../../images/image-set.js'
import { tinyImages } from '../../testing/tiny.js'
import { poisoningConfig } from '../core/poisoning.js'
import { renderToMemory } from '../core/render.js'
import { blended } from './blended.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const images = tinyImages(30, 1, 16)
const context = { seed: 1, height: 16, width: 16, classes: 3 }
const size = 3 * 16 * 16

/** α·k + (1 − α)·x, to what rounding and float32 leave open. */
function expectBlend(
  pixels: Uint8Array,
  before: Uint8Array,
  pattern: ArrayLike<number | bigint>,
  alpha: number,
) {
  pixels.forEach((value, i) => {
    const expected = alpha * Number(pattern[i % size]) + (1 - alpha) * before[i]!
    expect(Math.abs(value - expected)).toBeLessThan(0.501)
  })
}

describe('Blended', () => {
  it('is one strength at test time and another in training', async () => {
    const attack = blended.configure({ alpha: 0.3, trainAlpha: 0.1 })
    const prepared = await attack.prepare({ ...context, runtime })
    const pattern = prepared.pattern!.data
    const triggered = await renderToMemory(runtime, attack.trigger(context, prepared), images, { seed: 1 })
    expectBlend(triggered.pixels, images.pixels, pattern, 0.3)
    const plan = await attack.poison(
      {
        ...context,
        train: images,
        poisoning: poisoningConfig.parse({ rate: 0.2 }),
        render: (program, set) => renderToMemory(runtime, program, set, { seed: 1 }),
      },
      prepared,
    )
    const { pixels } = await readAll(plan.pixels)
    plan.items.forEach(({ index }, i) => {
      const before = images.pixels.subarray(index * size, (index + 1) * size)
      expectBlend(pixels.subarray(i * size, (i + 1) * size), before, pattern, 0.1)
    })
  })

  it('draws its pattern by the seed, from black to white; smooth if so wished', async () => {
    const patternOf = async (seed: number, pattern: 'uniform' | 'smooth') => {
      const { pattern: tensor } = await blended.configure({ pattern }).prepare({ ...context, seed, runtime })
      return Array.from(tensor!.data, Number)
    }
    /** Mean step between neighbours of a row. */
    const roughness = (values: number[]) =>
      values.reduce((sum, v, i) => (i % 16 ? sum + Math.abs(v - values[i - 1]!) : sum), 0) / values.length
    for (const kind of ['uniform', 'smooth'] as const) {
      const values = await patternOf(1, kind)
      expect(values.every(v => Number.isInteger(v) && v >= 0 && v <= 255)).toBe(true)
      expect(Math.max(...values) - Math.min(...values)).toBeGreaterThan(200)
      expect(await patternOf(2, kind)).not.toEqual(values)
    }
    expect(roughness(await patternOf(1, 'smooth'))).toBeLessThan(
      0.5 * roughness(await patternOf(1, 'uniform')),
    )
  })
})
