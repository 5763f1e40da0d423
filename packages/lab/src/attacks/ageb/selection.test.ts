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

  it('takes fewer where pixels tie at the threshold, none of a flat gradient', async () => {
    const tied = gradient.map((_, i) => (i % PIXELS < 2 ? 5 : i % PIXELS < 10 ? 3 : 1))
    for (const mask of await run({ kind: 'quantile', share: 0.25 }, tied))
      expect(mask.map((m, i) => (m === 1 ? i : -1)).filter(i => i >= 0)).toEqual([0, 1])
    const flat = await run({ kind: 'quantile', share: 0.5 }, new Float32Array(gradient.length))
    expect(flat.flat()).toEqual(new Array(gradient.length).fill(0))
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
