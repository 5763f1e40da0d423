import { Graph, reduceMean } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { attentionGradient } from '../attacks/ageb/attention-gradient.js'
import { parseSafetensors } from '../checkpoints/safetensors.js'
import { toHuggingFace } from '../checkpoints/to-hugging-face.js'
import {
  difference,
  goldenCheckpoint,
  goldenGradientErrors,
  goldenPixels,
  inGraph,
} from '../testing/goldens.js'
import { strongWeights } from '../testing/tiny.js'
import { trainTiny } from '../testing/train-tiny.js'
import { parameterCount } from './model.js'
import { type SwinConfig, swin, swinConfig } from './swin.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const tiny = {
  image_size: 16,
  patch_size: 2,
  embed_dim: 4,
  depths: [2, 1],
  num_heads: [2, 4],
  window_size: 4,
}
const build = (changes: Partial<SwinConfig>, classes = 3) =>
  swin.build(swinConfig.parse(changes), { classNames: Array.from({ length: classes }, (_, i) => `c${i}`) })

describe.each(['shifted', 'odd', 'large-window', 'absolute', 'three-stages'])(
  "transformers' Swin '%s'",
  name => {
    const checkpoint = goldenCheckpoint(`swin/${name}`)
    const { model, weights, goldens } = checkpoint

    it('has the same logits, and sends as much attention to every cell', async () => {
      const { graph, parameters, pixels } = inGraph(model)
      const { logits, attention } = model.forward(parameters, pixels)
      graph.output('logits', logits)
      attention.forEach((map, i) => {
        const { shape } = map.probabilities
        const received = reduceMean(map.probabilities, [1, 2])
        expect(shape[2]).toBe(shape[3])
        graph.output(`attention${i}`, map.toGrid(received))
      })
      const got = await evaluate(runtime, graph, { ...weights, pixels: goldenPixels(2, model.imageSize) })
      expect(difference(numbers(got.logits), goldens.logits.flat())).toBeLessThan(5e-6)
      expect(attention.length).toBe(goldens.attention!.length)
      goldens.attention!.forEach((wanted, i) => {
        const grid = wanted[0]!.length
        expect(got[`attention${i}`]!.shape).toEqual([2, 1, grid, grid])
        expect(difference(numbers(got[`attention${i}`]), wanted.flat(2))).toBeLessThan(1e-6)
      })
    })

    it('has the loss gradient of central differences, at every parameter', async () => {
      const errors = await goldenGradientErrors(runtime, checkpoint)
      expect(Object.keys(errors)).toEqual(Object.keys(model.parameters))
      expect(Object.entries(errors).filter(([, error]) => !(error < 1e-4))).toEqual([])
    })

    it('is written with the tensors that it was read from', () => {
      const again = parseSafetensors(toHuggingFace(checkpoint)['model.safetensors'], name).tensors
      expect([...again.keys()].sort()).toEqual(Object.keys(goldens.gradients).sort())
      for (const [key, { data }] of again) expect(data).toEqual(weights[key])
    })
  },
)

describe('the attention map of a shifted block', () => {
  it('lays tokens out by hand: 3×3 cells, windows of 2, shifted by 1, one row and column of padding', async () => {
    const model = build({ ...tiny, image_size: 6, window_size: 2, depths: [2], num_heads: [2] })
    const { graph, parameters, pixels } = inGraph(model)
    const map = model.forward(parameters, pixels).attention[1]!
    expect(map.probabilities.shape).toEqual([8, 2, 4, 4])
    const perKey = graph.input('perKey', 'float32', [8, 4])
    graph.output('grid', map.toGrid(perKey))
    // The rolled grid begins with cell (1, 1); row and column 3 are padding, 0 comes last:
    //   11 12 | 1· 10        Cells by window: 11 12 21 22 | 1· 10 2· 20 | ·1 ·2 01 02 | ·· ·0 0· 00
    //   21 22 | 2· 20
    //   ------+------
    //   ·1 ·2 | ·· ·0
    //   01 02 | 0· 00
    const image = [11, 12, 21, 22, -1, 10, -1, 20, -1, -1, 1, 2, -1, -1, -1, 0]
    const feeds = { ...strongWeights(model, 3), pixels: goldenPixels(2, 6) }
    const perKeys = [...image, ...image.map(v => v + 100)]
    const { grid } = await evaluate(runtime, graph, { ...feeds, perKey: perKeys })
    const cells = [0, 1, 2, 10, 11, 12, 20, 21, 22]
    expect(grid!.shape).toEqual([2, 1, 3, 3])
    expect(numbers(grid)).toEqual([...cells, ...cells.map(v => v + 100)])
  })
})

describe('the attention gradient of a Swin Transformer', () => {
  it.each(['pixel', 'patch'] as const)("exists at '%s'", async at => {
    const { model, weights } = goldenCheckpoint('swin/shifted')
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2, 3, 16, 16])
    graph.output('g', attentionGradient(x, { model, weights }, at, null))
    const { g } = await evaluate(runtime, graph, { x: goldenPixels(2, 16) })
    expect(g!.shape).toEqual([2, 1, 16, 16])
    const values = numbers(g)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0)
    const cells = new Set(values.slice(0, 256)).size
    // The last stage has 4×4 cells of 4×4 pixels, and looks at every pixel.
    if (at === 'patch') {
      expect(cells).toBe(16)
      expect(values[0]).toBe(values[3 * 16 + 3])
      expect(values[0]).not.toBe(values[4])
    } else expect(cells).toBeGreaterThan(240)
  })
})

describe("the attention gradient at 'patch' of an odd image", () => {
  it('has cells of whole patches, the last of which reach past the image', async () => {
    const { model, weights } = goldenCheckpoint('swin/odd')
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2, 3, 27, 27])
    graph.output('g', attentionGradient(x, { model, weights }, 'patch', null))
    const { g } = await evaluate(runtime, graph, { x: goldenPixels(2, 27) })
    const row = numbers(g).slice(0, 27)
    expect(new Set(row).size).toBe(4)
    // Two patches of 4 pixels were merged.
    for (const [i, value] of row.entries()) expect(value).toBe(row[8 * Math.floor(i / 8)])
  })
})

describe('stochastic depth', () => {
  it('drops the branches of one image in the order of the blocks', async () => {
    const model = build(tiny)
    expect(model.branches).toBe(6)
    expect(model.blocks).toEqual(['block0', 'block1', 'block2'])
    const weights = strongWeights(model, 3)
    const { graph, parameters, pixels } = inGraph(model)
    const branchScale = graph.input('branchScale', 'float32', [6, 2])
    graph.output('logits', model.forward(parameters, pixels, { branchScale }).logits)
    graph.output('plain', model.forward(parameters, pixels).logits)
    const feeds = { pixels: goldenPixels(2, 16), branchScale: [1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1] }
    const got = await evaluate(runtime, graph, { ...weights, ...feeds })
    // The first image loses the attention of block 1 and the other branch of block 2.
    const still = { ...weights }
    for (const name of ['0.blocks.1.attention.output.dense', '1.blocks.0.output.dense'])
      for (const part of ['weight', 'bias']) {
        const key = `swin.encoder.layers.${name}.${part}`
        still[key] = new Float32Array(weights[key]!.length)
      }
    const without = await evaluate(runtime, graph, { ...still, ...feeds })
    const [dropped, plain] = [numbers(got.logits), numbers(got.plain)]
    expect(difference(dropped.slice(0, 3), numbers(without.plain).slice(0, 3))).toBeLessThan(1e-5)
    expect(difference(dropped.slice(0, 3), plain.slice(0, 3))).toBeGreaterThan(0.01)
    expect(dropped.slice(3)).toEqual(plain.slice(3))
  })
})

describe('parameters', () => {
  it.each([
    ['Swin-T', {}, 28_288_354],
    ['Swin-S', { depths: [2, 2, 18, 2] }, 49_606_258],
    ['Swin-B', { embed_dim: 128, depths: [2, 2, 18, 2], num_heads: [4, 8, 16, 32] }, 87_768_224],
  ])('of %s with 1000 classes number as many as published', (_, changes, count) => {
    expect(parameterCount(build(changes, 1000))).toBe(count)
  })

  it('lie a layer further from the input with every block', () => {
    const { parameters } = build(tiny)
    const depth = (name: string) => parameters[name]!.depth
    expect(depth('swin.embeddings.norm.weight')).toBe(0)
    expect(depth('swin.encoder.layers.0.blocks.1.output.dense.weight')).toBe(2)
    expect(depth('swin.encoder.layers.0.downsample.reduction.weight')).toBe(2)
    expect(depth('swin.encoder.layers.1.blocks.0.layernorm_before.bias')).toBe(3)
    expect(depth('classifier.weight')).toBe(4)
  })

  it('decay where they are matrices and kernels', () => {
    const { parameters } = build({ ...tiny, use_absolute_embeddings: true })
    for (const [name, { decay, shape }] of Object.entries(parameters)) {
      expect(decay, name).toBe(shape.length > 1 && !/table$|position_embeddings$/.test(name))
    }
  })
})

describe('training', () => {
  it('lowers the loss, and recomputing blocks changes it by rounding alone', async () => {
    const config = { ...tiny, depths: [1, 2], window_size: 3 }
    const plain = await trainTiny(runtime, { model_type: 'swin', ...config })
    expect(plain.last).toBeLessThan(0.8 * plain.first)
    const again = await trainTiny(runtime, { model_type: 'swin', ...config }, { recompute: true })
    expect(difference(again.losses, plain.losses)).toBeLessThan(1e-4)
  })
})

describe('a configuration that makes no model', () => {
  it.each([
    [{ num_heads: [2] }, 'num_heads has 1 stages, but depths 2'],
    [{ num_heads: [2, 3] }, 'width 8 of stage 1 (embed_dim · 2^1) is no multiple of num_heads 3'],
    [
      { image_size: 15, use_absolute_embeddings: true },
      'image_size 15 is no multiple of patch_size 2, as use_absolute_embeddings needs',
    ],
  ])('%o is refused', (changes, message) => {
    expect(() => build({ ...tiny, ...changes })).toThrow(message)
  })
})
