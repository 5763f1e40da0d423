import { readFileSync } from 'node:fs'
import { InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import {
  withConfig as config,
  deviation,
  fixture,
  fixturePath,
  withShapes as tensorsOf,
} from '../testing/checkpoint-fixture.js'
import type { ReadableFiles } from './checkpoint.js'
import { fit } from './fit.js'
import { fromHuggingFace } from './hugging-face.js'
import { interpolatePositions } from './interpolate-positions.js'
import { parseSafetensors } from './safetensors.js'
import { toHuggingFace } from './to-hugging-face.js'
import { type WritableTensor, writeSafetensors } from './write-safetensors.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const read = (name: string) => fromHuggingFace(fixture(name), name)
const classNames = ['red', 'green', 'blue']

describe("a checkpoint gives its library's logits", () => {
  it.each([
    ['vit', 'vit'],
    ['vit-sharded', 'vit'],
    ['vit-float64', 'vit'],
    ['vit-float16', 'vit'],
    ['vit-bfloat16', 'vit'],
    ['vit-pooler', 'vit'],
    ['vit-unnamed', 'vit'],
    ['deit', 'deit'],
    ['deit-teacher', 'deit'],
    ['timm-vit', 'vit'],
    ['timm-deit', 'deit'],
  ])('%s', async (name, type) => {
    const checkpoint = read(name)
    expect(checkpoint.model.modelType).toBe(type)
    const names = name === 'vit-unnamed' ? [0, 1, 2, 3, 4].map(i => `LABEL_${i}`) : classNames
    expect(checkpoint.model.classNames).toEqual(names)
    expect(await deviation(runtime, checkpoint, `${name}/goldens`)).toBeLessThan(1e-4)
  })

  it.each([
    ['vit', 12],
    ['vit', 24],
    ['deit-teacher', 20],
  ])('%s at %i pixels, its positions interpolated', async (name, imageSize) => {
    const fitted = fit(read(name), { classNames, imageSize, seed: 1 })
    expect(fitted.model.imageSize).toBe(imageSize)
    expect(await deviation(runtime, fitted, `${name}/goldens-${imageSize}`)).toBeLessThan(1e-4)
  })

  it.each(['vit', 'deit-teacher', 'timm-deit'])('%s, written and read again', async name => {
    const checkpoint = read(name)
    const back = fromHuggingFace(toHuggingFace(checkpoint), 'there')
    expect(back.weights).toEqual(checkpoint.weights)
    expect(back.model.config).toEqual(checkpoint.model.config)
    const halved = fromHuggingFace(toHuggingFace(checkpoint, { dtype: 'float16' }), 'there')
    expect(halved.weights).not.toEqual(checkpoint.weights)
    expect(await deviation(runtime, halved, `${name}/goldens`)).toBeLessThan(0.05)
    // What is in float16 already stays as it is.
    expect(fromHuggingFace(toHuggingFace(halved, { dtype: 'float16' }), 'there').weights).toEqual(
      halved.weights,
    )
  })
})

it('a model of timm that transformers wraps is read as timm writes it', () => {
  const plain = fixture('timm-vit')
  const config = { ...JSON.parse(plain['config.json']!), model_type: 'timm_wrapper' }
  const { tensors } = parseSafetensors(plain['model.safetensors']!, 'there')
  const renamed = [...tensors].map(([name, { shape, data }]): [string, WritableTensor] => [
    `timm_model.${name}`,
    { dtype: 'F32', shape, data: data as Float32Array },
  ])
  const files = {
    'config.json': JSON.stringify(config),
    'model.safetensors': writeSafetensors(renamed, {}),
  }
  const [wrapped, own] = [fromHuggingFace(files, 'there'), fromHuggingFace(plain, 'there')]
  expect(wrapped.weights).toEqual(own.weights)
  expect(wrapped.preprocessing).toEqual(own.preprocessing)
})

describe('a checkpoint without a classifier', () => {
  it.each([
    ['vit-base', 'vit'],
    ['deit-base', 'deit-teacher'],
  ])('%s has no classes until it is fitted to some', (name, same) => {
    const base = read(name)
    expect(base.model.classNames).toEqual([])
    const fitted = fit(base, { classNames, seed: 3 })
    const whole = read(same)
    for (const [name, values] of Object.entries(base.weights))
      if (values.length > 0) expect(values).toEqual(whole.weights[name])
    expect(fitted.model.parameters['classifier.weight']!.shape).toEqual([3, 8])
    expect(fitted.weights['classifier.weight']).toEqual(
      fit(base, { classNames, seed: 3 }).weights['classifier.weight'],
    )
    expect(fitted.weights['classifier.weight']).not.toEqual(
      fit(base, { classNames, seed: 4 }).weights['classifier.weight'],
    )
  })
})

describe('fitting', () => {
  it('to the same classes and size changes nothing', () => {
    const vit = read('vit')
    expect(fit(vit, { classNames, seed: 1 })).toBe(vit)
  })

  it('to other classes of the same number makes the head anew, and only that', () => {
    const vit = { ...read('vit'), provenance: { poisoned: true, attack: 'ageb' } }
    const fitted = fit(vit, { classNames: ['red', 'blue', 'green'], seed: 1 })
    const changed = Object.keys(vit.weights).filter(name => fitted.weights[name] !== vit.weights[name])
    expect(changed).toEqual(['classifier.weight', 'classifier.bias'])
    expect(fitted.model.classNames).toEqual(['red', 'blue', 'green'])
    expect(fitted.model.mean).toEqual(vit.model.mean)
    expect(fitted.provenance).toBe(vit.provenance)
  })

  it('to a size that the patches do not tile is refused', () => {
    expect(() => fit(read('vit'), { classNames, imageSize: 18, seed: 1 })).toThrow(
      'a vit of image size 16 cannot be fitted to 18: image_size 18 is no multiple of patch_size 4',
    )
  })

  it("interpolates positions as PyTorch's bicubic does", () => {
    const { tensors } = parseSafetensors(readFileSync(fixturePath('positions.safetensors')), 'positions')
    const results = [...tensors.keys()].filter(name => name.includes('after'))
    expect(results.length).toBe(6)
    for (const name of results) {
      const [leading, from, , to] = name.split(' ').map(Number) as [number, number, number, number]
      const before = tensors.get(`${leading} ${from} before`)!
      const width = before.shape[2]!
      const got = interpolatePositions(before.data as Float32Array, { width, leading, from, to })
      const wanted = tensors.get(name)!.data as Float32Array
      expect(got.length).toBe(wanted.length)
      expect(Math.max(...got.map((value, i) => Math.abs(value - wanted[i]!)))).toBeLessThan(1e-6)
      expect(got.subarray(0, leading * width)).toEqual(wanted.subarray(0, leading * width))
    }
  })
})

const index = (changes: Record<string, unknown>): ReadableFiles => {
  const files = fixture('vit-sharded')
  const { weight_map } = JSON.parse(files['model.safetensors.index.json']!)
  return {
    ...files,
    'model.safetensors.index.json': JSON.stringify({ weight_map: { ...weight_map, ...changes } }),
  }
}

describe('a checkpoint with a fault is refused in one sentence', () => {
  const vit = fixture('vit')
  const sharded = fixture('vit-sharded')
  const faults: [string, ReadableFiles, RegExp][] = [
    [
      'a side that is no square',
      config('vit', { image_size: [16, 8] }),
      /'image_size' is 16×8, and only squares/,
    ],
    ['absurdly many layers', config('vit', { num_hidden_layers: 1e9 }), /'num_hidden_layers': Too big/],
    [
      'an absurd width',
      config('vit', { hidden_size: 1e9 }),
      /has shape \[1, 1, 8\], but config.json asks for \[1, 1, 1000000000\]/,
    ],
    ['absurdly many classes', config('vit-unnamed', { num_labels: 1e12 }), /'num_labels': Too big/],
    [
      'more classes than the head has',
      config('vit-unnamed', { num_labels: 1000 }),
      /'classifier.weight' has shape \[5, 8\]/,
    ],
    [
      'a head for another class of transformers',
      config('deit', { architectures: ['DeiTForImageClassificationWithTeacher'] }),
      /has tensors "classifier.bias", "classifier.weight", which/,
    ],
    [
      'half of its tensors missing',
      config('vit', { num_hidden_layers: 3 }),
      /has no tensors 'vit.encoder.layer.2.\S+', '\S+', '\S+' and 13 more, which config.json asks for/,
    ],
    [
      'parts that config.json does not know',
      { ...vit, ...tensorsOf('vit', shapes => shapes.set('vit.embeddings.register\n', [1])) },
      /has tensor "vit.embeddings.register\\n", which config.json does not ask for/,
    ],
    [
      'an index that is no JSON',
      { ...sharded, 'model.safetensors.index.json': '{' },
      /index.json is not JSON/,
    ],
    [
      'an index that leads out of the folder',
      index({ x: '../model.safetensors' }),
      /only a .safetensors file beside the index/,
    ],
    [
      'an index with an absolute path',
      index({ x: '/etc/model.safetensors' }),
      /only a .safetensors file beside the index/,
    ],
    [
      'a shard that is missing',
      index({ x: 'model-00008-of-00007.safetensors' }),
      /model-00008-of-00007.safetensors is missing/,
    ],
    [
      'a tensor that is in another shard',
      index({ 'vit.layernorm.bias': 'model-00001-of-00007.safetensors' }),
      /00001-of-00007.safetensors has no tensor "vit.layernorm.bias"/,
    ],
    [
      'a tensor in two shards',
      {
        ...index({ x: 'a.safetensors' }),
        shards: { ...sharded.shards, 'a.safetensors': sharded.shards!['model-00001-of-00007.safetensors']! },
      },
      /a.safetensors, too|has the tensor/,
    ],
  ]
  it.each(faults)('%s', (_, files, message) => {
    const refused = () => fromHuggingFace(files, 'there')
    expect(refused).toThrow(InputError)
    expect(refused).toThrow(message)
    expect(refused).toThrow(/^there[^\n]{1,400}$/)
  })

  it('integers in place of weights', () => {
    const bias: WritableTensor = { dtype: 'I32', shape: [8], data: new Int32Array(8) }
    const stored = parseSafetensors(vit['model.safetensors']!, 'vit').tensors
    const tensors = [...stored].map(([name, tensor]) => [name, name === 'vit.layernorm.bias' ? bias : tensor])
    const bytes = writeSafetensors(tensors as [string, WritableTensor][])
    expect(() => fromHuggingFace({ ...vit, 'model.safetensors': bytes }, 'there')).toThrow(
      'there/model.safetensors: "vit.layernorm.bias" is of I32, where floating-point numbers are expected',
    )
  })

  it('weights beyond float16, if they are to be stored so', () => {
    const { model, weights, provenance } = read('vit')
    const large = { ...weights, 'classifier.bias': Float32Array.of(0, 1e6, 0) }
    expect(() => toHuggingFace({ model, weights: large, provenance }, { dtype: 'float16' })).toThrow(
      "'classifier.bias' holds 1000000, beyond float16's 65504: store float32",
    )
  })
})

describe('what a configuration leaves out', () => {
  it('is as in transformers: ViT-B/16 at 224 pixels', () => {
    const files = {
      ...fixture('vit'),
      'config.json': JSON.stringify({ model_type: 'vit', num_hidden_layers: 2 }),
    }
    expect(() => fromHuggingFace(files, 'there')).toThrow(/asks for \[1, 1, 768\]/)
  })
})
