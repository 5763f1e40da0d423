import { readFileSync } from 'node:fs'
import { reduceMean } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { fit } from '../checkpoints/fit.js'
import { fromHuggingFace } from '../checkpoints/hugging-face.js'
import { parseSafetensors } from '../checkpoints/safetensors.js'
import { toHuggingFace } from '../checkpoints/to-hugging-face.js'
import {
  difference,
  goldenCheckpoint,
  goldenGradientErrors,
  goldenPixels,
  inGraph,
} from '../testing/goldens.js'
import { trainTiny } from '../testing/train-tiny.js'
import { dinov2, dinov2Config, dinov2WithRegisters, dinov2WithRegistersConfig } from './dinov2.js'
import { type Model, parameterCount, type Weights } from './model.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

/** The logits of two images, with the attention that each patch gets in every block. */
async function compute(model: Model, weights: Weights) {
  const { graph, parameters, pixels } = inGraph(model)
  const { logits, attention } = model.forward(parameters, pixels)
  graph.output('logits', logits)
  attention.forEach((map, i) => {
    graph.output(`attention${i}`, map.toGrid(reduceMean(map.probabilities, [1, 2])))
  })
  const got = await evaluate(runtime, graph, { ...weights, pixels: goldenPixels(2, model.imageSize) })
  return { logits: numbers(got.logits), attention: attention.map((_, i) => numbers(got[`attention${i}`])) }
}

const read = (name: string) => goldenCheckpoint(`dinov2/${name}`)
const same = ['plain', 'swiglu', 'patch-14', 'registers', 'registers-swiglu']

describe.each([...same, 'smaller', 'registers-smaller'])("transformers' DINOv2 '%s'", name => {
  const { model, weights, goldens } = read(name)

  it('has the same logits, and sends as much attention to every patch', async () => {
    const got = await compute(model, weights)
    expect(difference(got.logits, goldens.logits.flat())).toBeLessThan(1e-5)
    expect(got.attention.length).toBe(2)
    got.attention.forEach((map, i) => {
      expect(difference(map, goldens.attention![i]!.flat(2))).toBeLessThan(1e-6)
    })
  })

  it.each(Object.keys(goldens.at!))(
    'has the same logits at %s pixels, its positions interpolated',
    async side => {
      const fitted = fit(read(name), { classNames: model.classNames, imageSize: Number(side), seed: 1 })
      expect(fitted.model.imageSize).toBe(Number(side))
      const got = await compute(fitted.model, fitted.weights)
      expect(difference(got.logits, goldens.at![side]!.flat())).toBeLessThan(1e-5)
    },
  )

  it('comes back as it was written', () => {
    const files = toHuggingFace(read(name))
    const back = fromHuggingFace(files, 'there')
    expect(back.weights).toEqual(weights)
    expect(back.model.config).toEqual(model.config)
  })
})

describe.each(same)("transformers' DINOv2 '%s'", name => {
  const checkpoint = read(name)

  it('has the loss gradient of central differences, at every parameter', async () => {
    const errors = await goldenGradientErrors(runtime, checkpoint)
    expect(Object.keys(errors)).toEqual(Object.keys(checkpoint.model.parameters))
    expect(Object.entries(errors).filter(([, error]) => !(error < 1e-4))).toEqual([])
  })

  it('is written with every tensor that it was saved with', () => {
    const path = new URL(`../../fixtures/dinov2/${name}/model.safetensors`, import.meta.url)
    const saved = parseSafetensors(readFileSync(path), name).tensors
    const written = parseSafetensors(toHuggingFace(checkpoint)['model.safetensors'], name).tensors
    expect([...written.keys()].sort()).toEqual([...saved.keys()].sort())
    for (const [key, { shape, data }] of saved) {
      expect(written.get(key)!.shape).toEqual(shape)
      if (!key.endsWith('mask_token')) expect(written.get(key)!.data).toEqual(data)
    }
  })
})

describe('tokens in front of the patches', () => {
  it('are the class token and the registers', () => {
    expect(read('plain').model.leadingTokens).toBe(1)
    expect(read('registers').model.leadingTokens).toBe(5)
  })
})

describe('a DINOv2 without a classifier', () => {
  const file = (name: string) => readFileSync(new URL(`../../fixtures/dinov2/base/${name}`, import.meta.url))
  const base = fromHuggingFace(
    { 'config.json': file('config.json').toString(), 'model.safetensors': file('model.safetensors') },
    'base',
  )

  it('has no classes until it is fitted to some, and then a head for both halves of its features', () => {
    const { weights } = read('plain')
    expect(base.model.classNames).toEqual([])
    const fitted = fit(base, { classNames: ['red', 'green', 'blue'], seed: 3 })
    expect(fitted.model.parameters['classifier.weight']!.shape).toEqual([3, 16])
    for (const [name, values] of Object.entries(base.weights))
      if (values.length > 0) expect(values).toEqual(weights[name])
    expect(fitted.weights['classifier.weight']!.some(value => value !== 0)).toBe(true)
  })
})

describe('parameters', () => {
  it('are as many as published', () => {
    const task = { classNames: [] }
    const sizes = { image_size: 518, patch_size: 14 }
    const count = (model: Model, idle: number) => parameterCount(model) + idle
    // Of Dinov2Model, which has a mask token, too: ViT-S/14, ViT-B/14, and ViT-g/14, which has SwiGLU.
    const small = { ...sizes, hidden_size: 384, num_attention_heads: 6 }
    const giant = {
      ...sizes,
      hidden_size: 1536,
      num_attention_heads: 24,
      num_hidden_layers: 40,
      use_swiglu_ffn: true,
    }
    expect(count(dinov2.build(dinov2Config.parse(small), task), 384)).toBe(22_056_576)
    expect(count(dinov2.build(dinov2Config.parse(sizes), task), 768)).toBe(86_580_480)
    expect(count(dinov2.build(dinov2Config.parse(giant), task), 1536)).toBe(1_136_480_768)
    const registers = dinov2WithRegisters.build(dinov2WithRegistersConfig.parse(small), task)
    expect(count(registers, 384)).toBe(22_056_576 + 4 * 384)
  })

  it('decay where they are matrices and kernels, and start at a layer scale of their own', () => {
    const config = dinov2WithRegistersConfig.parse({ hidden_size: 12, layerscale_value: 0.01 })
    const { parameters } = dinov2WithRegisters.build(config, { classNames: ['a', 'b'] })
    for (const [name, { decay, shape }] of Object.entries(parameters)) {
      expect(decay, name).toBe(shape.length > 1 && !/token|position_embeddings/.test(name))
      if (name.includes('lambda')) expect(parameters[name]!.init).toEqual({ constant: 0.01 })
    }
  })
})

describe('training', () => {
  it.each([
    ['dinov2', { use_swiglu_ffn: true }],
    ['dinov2_with_registers', { num_register_tokens: 2 }],
  ])(
    'of a %s lowers the loss, and recomputing blocks changes it by rounding alone',
    async (type, changes) => {
      const sizes = {
        patch_size: 4,
        hidden_size: 8,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        mlp_ratio: 2,
      }
      const config = { model_type: type, image_size: 16, ...sizes, ...changes }
      const plain = await trainTiny(runtime, config)
      expect(plain.last).toBeLessThan(0.8 * plain.first)
      const again = await trainTiny(runtime, config, { recompute: true })
      expect(difference(again.losses, plain.losses)).toBeLessThan(1e-4)
    },
  )
})

it('a DINOv2 whose patches do not tile the image is refused', () => {
  const config = dinov2Config.parse({ image_size: 30 })
  expect(() => dinov2.build(config, { classNames: [] })).toThrow(
    'image_size 30 is no multiple of patch_size 14',
  )
})
