import { Graph } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { rng } from '../../random/rng.js'
import { type Selection, select } from './selection.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const [BATCH, HEIGHT, WIDTH] = [3, 5, 4]
const PIXELS = HEIGHT * WIDTH
const random = rng(1, 'selection')
/** Different everywhere, and of another size in every image. */
const gradient = Float32Array.from(
  { length: BATCH * PIXELS },
  (_, i) => random.uniform() * 10 ** (Math.floor(i / PIXELS) - 1),
)

async function run(selection: Selection, values: ArrayLike<number> = gradient) {
  const graph = new Graph()
  graph.output('mask', select(graph.input('g', 'float32', [BATCH, 1, HEIGHT, WIDTH]), selection))
  const { mask } = await evaluate(runtime, graph, { g: values })
  expect(mask!.shape).toEqual([BATCH, 1, HEIGHT, WIDTH])
  return Array.from({ length: BATCH }, (_, n) => numbers(mask).slice(n * PIXELS, (n + 1) * PIXELS))
}

const imageOf = (n: number) => gradient.slice(n * PIXELS, (n + 1) * PIXELS)

describe('selection by quantile', () => {
  it.each([0, 0.02, 0.03, 0.3, 0.5, 0.93, 0.99, 1])(
    'takes exactly the largest round(%f · H · W) pixels of each image',
    async share => {
      const masks = await run({ kind: 'quantile', share })
      masks.forEach((mask, n) => {
        const order = Array.from(imageOf(n).keys()).sort((a, b) => imageOf(n)[b]! - imageOf(n)[a]!)
        const chosen = new Set(order.slice(0, Math.round(share * PIXELS)))
        expect(mask).toEqual(Array.from({ length: PIXELS }, (_, i) => (chosen.has(i) ? 1 : 0)))
      })
    },
  )

  it.each([
    ['the first of a flat gradient', () => 0],
    ['the first of those that tie at the threshold', (i: number) => [5, 3, 3, 1][Math.floor((3 * i) % 4)]!],
    [
      'part of a patch',
      (i: number) => [1, 9, 4, 2][2 * Math.floor(i / 8) + Math.floor((i % WIDTH) / 2)] ?? 0,
    ],
    ['the first of values next to each other in float32', (i: number) => 1 + 2 ** -23 * (i % 3)],
  ])('takes exactly so many where pixels tie, by index: %s', async (_, tieAt) => {
    // In every image of the batch another one ties.
    const values = gradient.map((_, i) => tieAt((i % PIXELS) + Math.floor(i / PIXELS)))
    for (const count of [0, 1, 2, 5, 7, 10, 19, 20]) {
      const masks = await run({ kind: 'quantile', share: count / PIXELS }, values)
      masks.forEach((mask, n) => {
        const image = values.slice(n * PIXELS, (n + 1) * PIXELS)
        // Array.sort is stable: equal values stay in the order of their indices.
        const order = Array.from(image.keys()).sort((a, b) => image[b]! - image[a]!)
        const chosen = new Set(order.slice(0, count))
        expect(mask).toEqual(Array.from({ length: PIXELS }, (_, i) => (chosen.has(i) ? 1 : 0)))
      })
    }
  })
})

describe('absolute selection', () => {
  it.each([0, 0.2, 0.7, 1])('takes what exceeds %f of the image’s own range', async threshold => {
    const masks = await run({ kind: 'absolute', threshold })
    masks.forEach((mask, n) => {
      const values = imageOf(n)
      const [low, high] = [Math.min(...values), Math.max(...values)]
      const expected = Array.from(values, v => ((v - low) / (high - low) > threshold ? 1 : 0))
      expect(mask).toEqual(expected)
    })
  })

  it('takes none of a flat gradient', async () => {
    const masks = await run({ kind: 'absolute', threshold: 0 }, new Float32Array(gradient.length).fill(0.3))
    expect(masks.flat()).toEqual(new Array(gradient.length).fill(0))
  })
})
