import { Graph } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { preprocessingOf } from '../../checkpoints/preprocessing.js'
import { naiveCrossEntropy } from '../../testing/naive-layers.js'
import { naiveViT } from '../../testing/naive-vit.js'
import { strongWeights, tinyImages, tinyViT } from '../../testing/tiny.js'
import { attentionGradient, type GradientAt } from '../ageb/attention-gradient.js'
import { inputSizeOf, surrogateForward, surrogateOf } from './surrogate.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const model = tinyViT()
const weights = strongWeights(model, 4)
const SIDE = 8

describe('the id of a surrogate', () => {
  it('is the same for images of its own size, whether that is said or not, and tells apart all that resizes', () => {
    const id = (size?: { height: number; width: number }, resample?: number) => {
      const preprocessing =
        resample === undefined ? undefined : preprocessingOf({ size: SIDE, resample }, 'here')
      return surrogateOf({ model, weights, ...(preprocessing && { preprocessing }) }, size).id
    }
    expect(id({ height: SIDE, width: SIDE })).toBe(id())
    expect(id({ height: SIDE, width: SIDE }, 3)).toBe(id())
    const [small, bicubic] = [id({ height: 4, width: 4 }), id({ height: 4, width: 4 }, 3)]
    const others = [id(), small, bicubic, id({ height: 16, width: 16 }), id({ height: 8, width: 16 })]
    expect(new Set(others).size).toBe(5)
    expect(id({ height: 4, width: 4 }, 2)).toBe(small)
  })
})

it('a surrogate says what it is given', () => {
  const own = surrogateOf({ model, weights }, { height: SIDE, width: SIDE })
  expect(own.resizing).toBeUndefined()
  expect(inputSizeOf(own)).toEqual({ height: SIDE, width: SIDE })
  const other = surrogateOf({ model, weights }, { height: 6, width: 10 })
  expect(other.resizing).toMatchObject({ from: { height: 6, width: 10 }, resampling: 'bilinear' })
  expect(inputSizeOf(other)).toEqual({ height: 6, width: 10 })
})

/** Along one axis, bilinear and widened where it shrinks: the share of each old pixel in each new one. */
function naiveShares(from: number, to: number): number[][] {
  const stretch = Math.max(1, from / to)
  return Array.from({ length: to }, (_, o) => {
    const centre = ((o + 0.5) * from) / to
    const raw = Array.from({ length: from }, (_, i) => Math.max(0, 1 - Math.abs(i + 0.5 - centre) / stretch))
    const total = raw.reduce((a, b) => a + b)
    return raw.map(v => v / total)
  })
}

describe.each([4, 5, 12, 32])('the attention gradient of images %i pixels wide', from => {
  const shares = naiveShares(from, SIDE)
  const pixels = Float64Array.from(tinyImages(1, 1, from).pixels, v => v / 255)
  const seen = new Float64Array(3 * SIDE * SIDE)
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++)
        for (let i = 0; i < from; i++)
          for (let j = 0; j < from; j++)
            seen[(c * SIDE + y) * SIDE + x]! +=
              shares[y]![i]! * shares[x]![j]! * pixels[(c * from + i) * from + j]!

  async function gradientAt(at: GradientAt): Promise<number[]> {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [1, 3, from, from])
    const surrogate = surrogateOf({ model, weights }, { height: from, width: from })
    graph.output('logits', surrogateForward(surrogate, x).logits)
    graph.output('g', attentionGradient(x, surrogate, at, graph.constant('int64', [1], [1])))
    const { g, logits } = await evaluate(runtime, graph, { x: pixels })
    expect(g!.shape).toEqual([1, 1, from, from])
    const expected = naiveViT(model, weights, seen).logits
    numbers(logits).forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i]!, 3)
    })
    return numbers(g)
  }

  it("at 'pixel' is carried back through the resizing to the images' own pixels", async () => {
    const map = naiveViT(model, weights, seen).attention.at(-1)!
    const step = 1e-5
    const lossWith = (h: number, q: number, k: number, by: number) => {
      const moved = structuredClone(map)
      moved[h]![q]![k]! += by
      return naiveCrossEntropy(naiveViT(model, weights, seen, moved).logits, 1)
    }
    const pull = map.map((rows, h) =>
      rows.map((row, q) =>
        row.map((_, k) => (lossWith(h, q, k, step) - lossWith(h, q, k, -step)) / (2 * step)),
      ),
    )
    const objective = (x: Float64Array) =>
      naiveViT(model, weights, x)
        .attention.at(-1)!
        .flat(2)
        .reduce((sum, a, i) => sum + a * pull.flat(2)[i]!, 0)
    // With respect to what the model sees, then by the chain rule.
    const slopes = Array.from(seen, (v, i) => {
      const moved = (by: number) => objective(seen.with(i, v + by))
      return (moved(step) - moved(-step)) / (2 * step)
    })
    const expected = Array.from({ length: from * from }, (_, at) => {
      const [i, j] = [Math.floor(at / from), at % from]
      let sum = 0
      for (let c = 0; c < 3; c++) {
        let slope = 0
        for (let y = 0; y < SIDE; y++)
          for (let x = 0; x < SIDE; x++)
            slope += slopes[(c * SIDE + y) * SIDE + x]! * shares[y]![i]! * shares[x]![j]!
        sum += Math.abs(slope)
      }
      return sum
    })
    const got = await gradientAt('pixel')
    const worst = Math.max(...got.map((v, i) => Math.abs(v - expected[i]!))) / Math.max(...expected)
    expect(worst).toBeLessThan(1e-3)
  })

  it("at 'patch' has the patches laid over the images", async () => {
    const got = await gradientAt('patch')
    const cellOf = (i: number) => Math.floor((2 * i) / from)
    const first = new Map<number, number>()
    got.forEach((v, at) => {
      const cell = 2 * cellOf(Math.floor(at / from)) + cellOf(at % from)
      if (!first.has(cell)) first.set(cell, v)
      expect(v).toBe(first.get(cell))
    })
    expect(new Set(first.values()).size).toBe(4)
  })
})
