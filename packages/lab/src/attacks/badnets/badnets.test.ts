import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { imagesInMemory } from '../../images/image-set.js'
import { renderToMemory } from '../core/render.js'
import { type BadnetsParameters, badnets } from './badnets.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

/** The red, green and blue planes of a grey image with the patch, as rows of values. */
async function patched(parameters: Partial<BadnetsParameters>, height: number, width = height) {
  const grey = imagesInMemory({
    ...{ name: 'grey', split: 'test', height, width, labels: Int32Array.of(0), classNames: ['a'] },
    pixels: new Uint8Array(3 * height * width).fill(100),
  })
  const program = badnets.configure(parameters).trigger({ seed: 1, height, width, classes: 3 }, {})
  const { pixels } = await renderToMemory(runtime, program, grey, { seed: 1 })
  return [0, 1, 2].map(c =>
    Array.from({ length: height }, (_, y) => [
      ...pixels.subarray((c * height + y) * width, (c * height + y + 1) * width),
    ]),
  )
}

describe('BadNets', () => {
  it.each([
    [32, 32, [29, 31], [29, 31]],
    [224, 224, [203, 223], [203, 223]],
    [64, 32, [58, 63], [29, 31]],
    [8, 8, [7, 7], [7, 7]],
  ] as const)(
    'as BackdoorBench has it is a white square of 3 of 32 pixels in the corner, at %i×%i',
    async (height, width, rows, columns) => {
      const expected = Array.from({ length: height }, (_, y) =>
        Array.from({ length: width }, (_, x) =>
          y >= rows[0] && y <= rows[1] && x >= columns[0] && x <= columns[1] ? 255 : 100,
        ),
      )
      const parameters = { size: 3, row: 29, column: 29 }
      expect(badnets.presets.backdoorbench!.parameters).toEqual(parameters)
      expect(await patched(parameters, height, width)).toEqual([expected, expected, expected])
    },
  )

  it('can be a checkerboard of any colour anywhere', async () => {
    const [red, green, blue] = await patched(
      { pattern: 'checkerboard', size: 2, row: 1, column: 3, colour: [255, 128, 0] },
      32,
    )
    expect(red![1]!.slice(2, 6)).toEqual([100, 255, 0, 100])
    expect(red![2]!.slice(2, 6)).toEqual([100, 0, 255, 100])
    expect(green![1]!.slice(2, 6)).toEqual([100, 128, 127, 100])
    expect(blue![2]!.slice(2, 6)).toEqual([100, 255, 0, 100])
    expect(red![3]!.every(value => value === 100)).toBe(true)
    // Fields grow with the image.
    const [large] = await patched({ pattern: 'checkerboard', size: 2, row: 0, column: 0 }, 64)
    expect(large![0]!.slice(0, 5)).toEqual([255, 255, 0, 0, 100])
    expect(large![2]!.slice(0, 5)).toEqual([0, 0, 255, 255, 100])
  })
})
