import { type Runtime, toOnnx } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { imagesInMemory } from '../../images/image-set.js'
import { tinyImages } from '../../testing/tiny.js'
import { fieldGolden, wanetGoldens } from '../attack-goldens.js'
import { type ImageProgram, programGraph } from '../core/image-program.js'
import { poisoningConfig } from '../core/poisoning.js'
import { type Prepared, preparedFloats } from '../core/prepared.js'
import { imageNoise, renderToMemory } from '../core/render.js'
import { wanet } from './wanet.js'
import { warpField } from './warp.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

/** The poison's and the cover's program. */
async function programsOf(parameters: object, prepared: Prepared, side: number) {
  const attack = wanet.configure(parameters)
  const programs: ImageProgram[] = []
  const context = { seed: 1, height: side, width: side, classes: 3 }
  const train = tinyImages(30, 1, side)
  await attack.poison(
    {
      ...context,
      train,
      poisoning: poisoningConfig.parse({}),
      async render(program, images) {
        programs.push(program)
        return images
      },
    },
    prepared,
  )
  return { trigger: attack.trigger(context, prepared), poison: programs[0]!, cover: programs[1] }
}

async function run(
  runtime: Runtime,
  program: ImageProgram,
  pixels: Uint8Array,
  side: number,
  noise?: number[],
) {
  const { graph } = programGraph(program, { batch: 1, height: side, width: side })
  const session = await runtime.load(toOnnx(graph))
  const { triggered } = await session.run({
    images: { dtype: 'uint8', shape: [1, 3, side, side], data: pixels },
    ...(noise && {
      noise: { dtype: 'float32', shape: [1, 2, side * side], data: Float32Array.from(noise) },
    }),
  })
  await session.release()
  return Array.from(triggered!.data, Number)
}

describe('against PyTorch', () => {
  const side = 12
  const pixels = Uint8Array.from({ length: 3 * side * side }, (_, i) => {
    const [c, y, x] = [Math.floor(i / side / side), Math.floor(i / side) % side, i % side]
    return (x * x * 3 + y * 7 + x * y * 5 + c * 37) % 256
  })
  const drawn = (count: number) =>
    Array.from({ length: count }, (_, i) => (((i * i * 7919 + i * 104729 + 13) % 2001) - 1000) / 1000)

  it('its field is the same', () => {
    const field = warpField(Float64Array.from(drawn(32)), 4, { height: 5, width: 5 })
    expect(field.length).toBe(fieldGolden.length)
    fieldGolden.forEach((value, i) => {
      expect(Math.abs(field[i]! - value)).toBeLessThan(1e-5)
    })
  })

  it.each(wanetGoldens)('its images are the same: s = $strength, noise: $noise', async golden => {
    const { grid, strength, rescale, noise } = golden
    const data = warpField(Float64Array.from(drawn(2 * grid * grid)), grid, { height: side, width: side })
    const prepared = { field: { dtype: 'float32', shape: [2, side, side], data } } as const
    const programs = await programsOf({ grid, strength, rescale }, prepared, side)
    for (const program of noise ? [programs.cover!] : [programs.trigger, programs.poison]) {
      const jitter = noise ? drawn(2 * side * side).map(v => (v + 1) / 2) : undefined
      const got = await run(runtime, program, pixels, side, jitter)
      golden.pixels.forEach((value, i) => {
        // Half a unit of rounding and what float32 leaves open.
        expect(Math.abs(got[i]! - value)).toBeLessThan(0.51)
      })
    }
  })
})

describe('against loops that follow the paper', () => {
  const side = 9
  const images = tinyImages(2, 5, side)

  /** Bilinear reading of one channel at (row, column) in pixels; what lies outside is 0. */
  function read(image: Uint8Array, c: number, row: number, column: number): number {
    let sum = 0
    for (const y of [Math.floor(row), Math.floor(row) + 1])
      for (const x of [Math.floor(column), Math.floor(column) + 1]) {
        if (y < 0 || x < 0 || y >= side || x >= side) continue
        sum += (1 - Math.abs(row - y)) * (1 - Math.abs(column - x)) * image[(c * side + y) * side + x]!
      }
    return sum
  }

  it('images and cover are within a unit, whatever the seed drew', async () => {
    const context = { seed: 4, height: side, width: side, classes: 3, runtime }
    const parameters = { strength: 1.5, grid: 3 }
    const prepared = await wanet.configure(parameters).prepare(context)
    const field = preparedFloats(prepared, 'field', [2, side, side])
    const { trigger, cover } = await programsOf(parameters, prepared, side)
    for (const program of [trigger, cover!]) {
      const { pixels } = await renderToMemory(runtime, program, images, { seed: 4 })
      for (let n = 0; n < 2; n++) {
        const noise = program.noise && imageNoise(4, n, 2 * side * side)
        const image = images.pixels.subarray(n * 3 * side * side, (n + 1) * 3 * side * side)
        const place = (axis: number, at: number, pixel: number) => {
          let g = -1 + (2 * pixel) / (side - 1) + (1.5 * field[axis * side * side + at]!) / side
          g = Math.max(-1, Math.min(1, g))
          if (noise) g = Math.max(-1, Math.min(1, g + (noise[axis * side * side + at]! * 2 - 1) / side))
          return ((g + 1) / 2) * (side - 1)
        }
        for (let i = 0; i < 3 * side * side; i++) {
          const [c, y, x] = [Math.floor(i / side / side), Math.floor(i / side) % side, i % side]
          const expected = read(image, c, place(1, y * side + x, y), place(0, y * side + x, x))
          expect(Math.abs(pixels[n * 3 * side * side + i]! - expected)).toBeLessThanOrEqual(0.501)
        }
      }
    }
  })

  it('a warp of strength 0 changes nothing, and another seed warps otherwise', async () => {
    const warped = async (seed: number, strength: number) => {
      const attack = wanet.configure({ strength })
      const context = { seed, height: side, width: side, classes: 3 }
      const program = attack.trigger(context, await attack.prepare({ ...context, runtime }))
      return (await renderToMemory(runtime, program, images, { seed })).pixels
    }
    expect(await warped(1, 0)).toEqual(images.pixels)
    expect(await warped(1, 2)).not.toEqual(await warped(2, 2))
  })

  it('images that are not square are warped along both of their sides', async () => {
    const [height, width] = [6, 10]
    const attack = wanet.configure({ strength: 1 })
    const context = { seed: 1, height, width, classes: 3 }
    const set = imagesInMemory({
      ...{ name: 'wide', split: 'train', height, width, labels: Int32Array.of(0), classNames: ['a'] },
      // Brightness tells the column: what is read elsewhere says from where.
      pixels: Uint8Array.from({ length: 3 * height * width }, (_, i) => 20 * (i % width)),
    })
    const prepared = await attack.prepare({ ...context, runtime })
    const { pixels } = await renderToMemory(runtime, attack.trigger(context, prepared), set, { seed: 1 })
    const field = preparedFloats(prepared, 'field', [2, height, width])
    for (let i = 0; i < height * width; i++) {
      const column = (i % width) + (((width - 1) / 2) * field[i]!) / width
      const expected = 20 * Math.max(0, Math.min(width - 1, column))
      expect(Math.abs(pixels[i]! - expected)).toBeLessThan(0.51)
    }
  })
})
