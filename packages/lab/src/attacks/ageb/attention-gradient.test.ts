import { Graph } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import type { Model } from '../../models/model.js'
import { naiveCrossEntropy, naiveViT } from '../../testing/naive-vit.js'
import { strongWeights, type TinyViT, tinyImages, tinyViT } from '../../testing/tiny.js'
import { attentionGradient, type GradientAt } from './attention-gradient.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const [SIDE, PATCH, HEADS, TOKENS] = [8, 4, 2, 5]
const pixels = Float64Array.from(tinyImages(2).pixels, v => v / 255)
const imageOf = (n: number) => pixels.slice(n * 192, (n + 1) * 192)

async function run(model: Model, at: GradientAt, labels: number[] | null) {
  const graph = new Graph()
  const x = graph.input('x', 'float32', [2, 3, SIDE, SIDE])
  const y = labels && graph.constant('int64', [2], labels)
  graph.output('g', attentionGradient(x, { model, weights: strongWeights(model, 4) }, at, y))
  const { g } = await evaluate(runtime, graph, { x: pixels })
  expect(g!.shape).toEqual([2, 1, SIDE, SIDE])
  return [0, 1].map(n => numbers(g).slice(n * SIDE * SIDE, (n + 1) * SIDE * SIDE))
}

/** Last attention A and ∂L/∂A, the latter by central differences of the part of the model behind A. */
function pullOf(model: TinyViT, image: Float64Array, label: number | null) {
  const weights = strongWeights(model, 4)
  const { attention, logits } = naiveViT(model, weights, image)
  const map = attention.at(-1)!
  const against = label ?? logits.indexOf(Math.max(...logits))
  const step = 1e-5
  const lossWith = (h: number, q: number, k: number, by: number) => {
    const moved = structuredClone(map)
    moved[h]![q]![k]! += by
    return naiveCrossEntropy(naiveViT(model, weights, image, moved).logits, against)
  }
  const pull = map.map((rows, h) =>
    rows.map((row, q) =>
      row.map((_, k) => (lossWith(h, q, k, step) - lossWith(h, q, k, -step)) / (2 * step)),
    ),
  )
  return { map, pull }
}

const worst = (got: readonly number[], expected: readonly number[]) =>
  Math.max(...got.map((v, i) => Math.abs(v - expected[i]!))) / Math.max(...expected.map(Math.abs))

/** Scores of the patches spread over their pixels. */
const spread = (scores: readonly number[]) =>
  Array.from({ length: SIDE * SIDE }, (_, i) => {
    const [row, column] = [Math.floor(i / SIDE), i % SIDE]
    return scores[Math.floor(row / PATCH) * (SIDE / PATCH) + Math.floor(column / PATCH)]!
  })

const models = { plain: tinyViT(), 'with a stem': tinyViT({ conv_stem: [4, 5] }) }

describe.each(Object.entries(models))('the attention gradient of a ViT %s', (_, model) => {
  it.each([[null], [[1, 2]]])("'pixel' is what central differences give, labels %o", async labels => {
    const got = await run(model, 'pixel', labels)
    const weights = strongWeights(model, 4)
    for (const n of [0, 1]) {
      const image = imageOf(n)
      // Σ⟨∂L/∂A held constant, A(x)⟩
      const { pull } = pullOf(model, image, labels && labels[n]!)
      const objective = (x: Float64Array) => {
        const map = naiveViT(model, weights, x).attention.at(-1)!
        return map.flat(2).reduce((sum, a, i) => sum + a * pull.flat(2)[i]!, 0)
      }
      const step = 1e-5
      const slopes = Array.from(image, (v, i) => {
        const moved = (by: number) => objective(image.with(i, v + by))
        return Math.abs(moved(step) - moved(-step)) / (2 * step)
      })
      const expected = Array.from({ length: 64 }, (_, i) => slopes[i]! + slopes[64 + i]! + slopes[128 + i]!)
      // Against each image's own loss: being in a batch changes nothing.
      expect(worst(got[n]!, expected)).toBeLessThan(1e-3)
    }
  })

  it("'patch' and 'class-token' are the mean of |A ⊙ ∂L/∂A| in the patch's column", async () => {
    for (const [at, queries] of [
      ['patch', [0, 1, 2, 3, 4]],
      ['class-token', [0]],
    ] as const) {
      const got = await run(model, at, null)
      for (const n of [0, 1]) {
        const { map, pull } = pullOf(model, imageOf(n), null)
        const scores = [1, 2, 3, 4].map(column => {
          let sum = 0
          for (let h = 0; h < HEADS; h++)
            for (const q of queries) sum += Math.abs(map[h]![q]![column]! * pull[h]![q]![column]!)
          return sum / (HEADS * queries.length)
        })
        expect(map[0]!.length).toBe(TOKENS)
        expect(worst(got[n]!, spread(scores))).toBeLessThan(1e-3)
      }
    }
  })
})

describe('a surrogate with neither attention nor activations', () => {
  it('is refused', () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [1, 3, SIDE, SIDE])
    const model: Model = {
      ...models.plain,
      forward: (p, v) => ({ ...models.plain.forward(p, v), attention: [] }),
    }
    const surrogate = { model, weights: strongWeights(model, 4) }
    expect(() => attentionGradient(x, surrogate, 'pixel', null)).toThrow(
      'the surrogate (vit) has neither attention nor activations',
    )
  })
})
