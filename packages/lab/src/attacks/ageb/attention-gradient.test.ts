import { Graph, InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { bakeWeights, type Model } from '../../models/model.js'
import { naiveCrossEntropy } from '../../testing/naive-layers.js'
import { naiveViT } from '../../testing/naive-vit.js'
import { strongWeights, type TinyViT, tinyImages, tinyViT } from '../../testing/tiny.js'
import { tinyPreActResNet, tinyResNet } from '../../testing/tiny-resnet.js'
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

describe.each([8, 9])('the gradient of a model without attention, images %i pixels wide', side => {
  const resnet = tinyResNet({ image_size: side })
  // Without the ReLU that a ResNet has within its blocks: central differences want a smooth function.
  const smooth = tinyPreActResNet({ image_size: side })
  const weightsOf = (model: Model) => strongWeights(model, 4)
  const labels = [1, 2]
  const size = 3 * side * side
  const images = Float64Array.from(tinyImages(2, 1, side).pixels, v => v / 255)

  async function at(model: Model, kind: GradientAt) {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2, 3, side, side])
    graph.output(
      'g',
      attentionGradient(x, { model, weights: weightsOf(model) }, kind, graph.constant('int64', [2], labels)),
    )
    const { g } = await evaluate(runtime, graph, { x: images })
    expect(g!.shape).toEqual([2, 1, side, side])
    return numbers(g)
  }
  async function forward(model: Model, x: Float64Array) {
    const graph = new Graph()
    const pixels = graph.input('x', 'float32', [x.length / size, 3, side, side])
    const { logits, activations } = model.forward(bakeWeights(graph, model, weightsOf(model)), pixels)
    graph.output('logits', logits)
    graph.output('activations', activations!)
    const got = await evaluate(runtime, graph, { x })
    return { logits: numbers(got.logits), activations: got.activations! }
  }

  it("'pixel' is that of the loss, since all of it goes through the activations", async () => {
    const got = await at(smooth, 'pixel')
    const step = 0.005
    // Both moves of all three channels of some pixels, in one batch.
    const pixels = [0, 1, side + 3, 4 * side + 4, side * side - 1]
    const moves = [0, 1].flatMap(n =>
      pixels.flatMap(pixel => [0, 1, 2].flatMap(c => [step, -step].map(by => ({ n, pixel, c, by })))),
    )
    const moved = new Float64Array(moves.length * size)
    moves.forEach(({ n, pixel, c, by }, i) => {
      moved.set(images.subarray(n * size, (n + 1) * size), i * size)
      moved[i * size + c * side * side + pixel]! += by
    })
    const { logits } = await forward(smooth, moved)
    const loss = (i: number) => naiveCrossEntropy(logits.slice(3 * i, 3 * i + 3), labels[moves[i]!.n]!)
    const expected = [0, 1].flatMap(n =>
      pixels.map(pixel =>
        moves.reduce(
          (sum, move, i) =>
            move.n === n && move.pixel === pixel && move.by > 0
              ? sum + Math.abs(loss(i) - loss(i + 1)) / (2 * step)
              : sum,
          0,
        ),
      ),
    )
    const there = [0, 1].flatMap(n => pixels.map(pixel => got[n * side * side + pixel]!))
    expect(worst(there, expected)).toBeLessThan(5e-3)
  })

  it("'patch' is the mean of |A ⊙ ∂L/∂A| over channels, at the cell of the pixel", async () => {
    const got = await at(resnet, 'patch')
    const { logits, activations } = await forward(resnet, images)
    const [, channels, rows, columns] = activations.shape as [number, number, number, number]
    expect([rows, columns]).toEqual([Math.ceil(side / 2), Math.ceil(side / 2)])
    const A = numbers(activations)
    const head = weightsOf(resnet)['classifier.1.weight']!
    const expected = Array.from({ length: 2 * side * side }, (_, i) => {
      const [n, y, x] = [Math.floor(i / side / side), Math.floor(i / side) % side, i % side]
      const exps = logits.slice(3 * n, 3 * n + 3).map(Math.exp)
      const total = exps.reduce((a, b) => a + b)
      const cell = Math.floor((y * rows) / side) * columns + Math.floor((x * columns) / side)
      let sum = 0
      for (let c = 0; c < channels; c++) {
        // ∂L/∂A through mean and head: Σ over classes of (probability − target) · weight / cells.
        const slope = exps.reduce(
          (s, e, k) => s + (e / total - (k === labels[n] ? 1 : 0)) * head[k * channels + c]!,
          0,
        )
        sum += Math.abs((A[(n * channels + c) * rows * columns + cell]! * slope) / (rows * columns))
      }
      return sum / channels
    })
    expect(worst(got, expected)).toBeLessThan(1e-4)
  })

  it("'class-token' is refused", () => {
    const surrogate = { model: resnet, weights: weightsOf(resnet) }
    const take = () => {
      const x = new Graph().input('x', 'float32', [2, 3, side, side])
      return attentionGradient(x, surrogate, 'class-token', null)
    }
    expect(take).toThrow(InputError)
    expect(take).toThrow('the surrogate (resnet) has no class token: take the gradient at pixel or patch')
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
