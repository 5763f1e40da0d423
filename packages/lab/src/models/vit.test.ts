import { Graph, type Value } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { rng } from '../random/rng.js'
import { gradientErrors } from '../testing/gradient-errors.js'
import { naiveViT } from '../testing/naive-vit.js'
import { strongWeights, tinyImages, tinyViT } from '../testing/tiny.js'
import { initialWeights, parameterCount } from './model.js'
import { type ViTConfig, vit, vitConfig } from './vit.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const images = tinyImages(2)
const pixels = Float64Array.from(images.pixels, v => v / 255)
const image = (i: number) => pixels.subarray(i * 192, (i + 1) * 192)
const labels = [2, 0]

const variants: Record<string, Partial<ViTConfig>> = {
  gelu: {},
  relu: { hidden_act: 'relu' },
  'no qkv bias': { qkv_bias: false },
  'convolutional stem, gelu': { conv_stem: [3, 5, 4] },
  'convolutional stem, relu': { conv_stem: [4, 5], hidden_act: 'relu' },
}

/** The model in a graph, its parameters inputs. */
function built(changes: Partial<ViTConfig>) {
  const model = tinyViT(changes)
  const graph = new Graph()
  const parameters: Record<string, Value> = Object.fromEntries(
    Object.entries(model.parameters).map(([name, { shape }]) => [name, graph.input(name, 'float32', shape)]),
  )
  const x = graph.input('pixels', 'float32', [2, 3, 8, 8])
  return { model, graph, parameters, x, result: model.forward(parameters, x) }
}

describe.each(Object.entries(variants))('a ViT with %s', (_, changes) => {
  it('computes the logits and attention maps of the plain reference', async () => {
    const { model, graph, result } = built(changes)
    graph.output('logits', result.logits)
    result.attention.forEach((map, i) => {
      graph.output(`attention${i}`, map.probabilities)
    })
    const weights = strongWeights(model, 3)
    const got = await evaluate(runtime, graph, { ...weights, pixels })
    const expected = [0, 1].map(i => naiveViT(model, weights, image(i)))
    const close = (values: number[], wanted: number[]) => {
      expect(values.length).toBe(wanted.length)
      expect(Math.max(...values.map((v, i) => Math.abs(v - wanted[i]!)))).toBeLessThan(2e-5)
    }
    close(
      numbers(got.logits),
      expected.flatMap(e => e.logits),
    )
    for (const block of [0, 1]) {
      expect(got[`attention${block}`]!.shape).toEqual([2, 2, 5, 5])
      close(
        numbers(got[`attention${block}`]),
        expected.flatMap(e => e.attention[block]!.flat(2)),
      )
    }
  })

  it('has the loss gradient of central differences, at every parameter', async () => {
    const model = tinyViT(changes)
    const reference: Parameters<typeof gradientErrors>[5] = (w, x) => naiveViT(model, w, x).logits
    const errors = await gradientErrors(runtime, model, strongWeights(model, 3), pixels, labels, reference)
    expect(Object.entries(errors).filter(([, error]) => !(error < 1e-4))).toEqual([])
  })
})

describe('stochastic depth', () => {
  it('without any branch leaves class token and position alone', async () => {
    const { model, graph, parameters, x } = built({})
    expect(model.branches).toBe(4)
    const branchScale = graph.input('branchScale', 'float32', [4, 2])
    graph.output('logits', model.forward(parameters, x, { branchScale }).logits)
    graph.output('plain', model.forward(parameters, x).logits)
    const weights = strongWeights(model, 3)
    // Only the first image loses its branches.
    const got = await evaluate(runtime, graph, { ...weights, pixels, branchScale: [0, 1, 0, 1, 0, 1, 0, 1] })
    const [logits, plain] = [numbers(got.logits), numbers(got.plain)]
    expect(logits.slice(3)).toEqual(plain.slice(3))
    const still = { ...weights }
    for (const name of Object.keys(weights))
      if (/output\.dense/.test(name)) still[name] = new Float32Array(weights[name]!.length)
    const expected = naiveViT(model, still, image(0)).logits
    expected.forEach((value, i) => {
      expect(logits[i]).toBeCloseTo(value, 5)
    })
    expect(logits.slice(0, 3)).not.toEqual(plain.slice(0, 3))
  })
})

describe('parameters', () => {
  // The state dictionary of transformers' ViTForImageClassification, spelled out for two layers.
  const both = (name: string, weight: number[]) => ({
    [`${name}.weight`]: weight,
    [`${name}.bias`]: [weight[0]!],
  })
  const layer = (i: number) => {
    const name = `vit.encoder.layer.${i}`
    return {
      ...both(`${name}.attention.attention.query`, [8, 8]),
      ...both(`${name}.attention.attention.key`, [8, 8]),
      ...both(`${name}.attention.attention.value`, [8, 8]),
      ...both(`${name}.attention.output.dense`, [8, 8]),
      ...both(`${name}.intermediate.dense`, [12, 8]),
      ...both(`${name}.output.dense`, [8, 12]),
      ...both(`${name}.layernorm_before`, [8]),
      ...both(`${name}.layernorm_after`, [8]),
    }
  }

  it("have the names and shapes of Hugging Face's ViTForImageClassification", () => {
    const expected = {
      'vit.embeddings.cls_token': [1, 1, 8],
      'vit.embeddings.position_embeddings': [1, 5, 8],
      ...both('vit.embeddings.patch_embeddings.projection', [8, 3, 4, 4]),
      ...layer(0),
      ...layer(1),
      ...both('vit.layernorm', [8]),
      ...both('classifier', [3, 8]),
    }
    const { parameters } = tinyViT()
    const shapes = Object.fromEntries(
      Object.entries(parameters).map(([name, { shape }]) => [name, [...shape]]),
    )
    expect(shapes).toEqual(expected)
  })

  it('number as many as published for ViT-B/16 with 1000 classes', () => {
    const config = vitConfig.parse({
      image_size: 224,
      patch_size: 16,
      hidden_size: 768,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      intermediate_size: 3072,
    })
    const classNames = Array.from({ length: 1000 }, (_, i) => String(i))
    expect(parameterCount(vit.build(config, { classNames }))).toBe(86_567_656)
  })

  it('decay where they are matrices and kernels', () => {
    const { parameters } = tinyViT({ conv_stem: [4, 4] })
    const decayed = Object.keys(parameters).filter(name => parameters[name]!.decay)
    expect(decayed.every(name => name.endsWith('.weight') && parameters[name]!.shape.length > 1)).toBe(true)
    const flat = Object.keys(parameters).filter(name => !parameters[name]!.decay)
    expect(
      flat.every(name => parameters[name]!.shape.length === 1 || name.startsWith('vit.embeddings.')),
    ).toBe(true)
  })

  it('start as declared, the same for the same seed', () => {
    const model = tinyViT()
    const first = initialWeights(model, rng(1, 'init'))
    expect(initialWeights(model, rng(1, 'init'))).toEqual(first)
    expect(initialWeights(model, rng(2, 'init'))).not.toEqual(first)
    expect(first['vit.layernorm.weight']).toEqual(new Float32Array(8).fill(1))
    expect(first['classifier.bias']).toEqual(new Float32Array(3))
    const dense = first['vit.encoder.layer.0.intermediate.dense.weight']!
    expect(Math.max(...dense.map(Math.abs))).toBeLessThanOrEqual(0.04)
    expect(Math.max(...dense.map(Math.abs))).toBeGreaterThan(0.02)
  })
})

describe('a configuration that makes no model', () => {
  it.each([
    [{ patch_size: 3 }, 'image_size 8 is no multiple of patch_size 3'],
    [{ num_attention_heads: 3 }, 'hidden_size 8 is no multiple of num_attention_heads 3'],
    [{ conv_stem: [4] }, 'a stem of 1 convolutions cannot reduce by patch_size 4'],
  ])('%o is refused', (changes, message) => {
    expect(() => tinyViT(changes)).toThrow(message)
  })
})
