import { readFileSync } from 'node:fs'
import { buildTrainStep, crossEntropy, Graph, gradients, sgd, type Value } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, gradientError, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import type { Checkpoint } from '../checkpoints/checkpoint.js'
import { fromHuggingFace } from '../checkpoints/hugging-face.js'
import { parseSafetensors } from '../checkpoints/safetensors.js'
import { classifierGraph } from '../inference/classifier.js'
import { rng } from '../random/rng.js'
import { strongWeights, tinyImages } from '../testing/tiny.js'
import { tinyPreActResNet, tinyResNet } from '../testing/tiny-resnet.js'
import { bakeWeights, initialWeights, parameterCount } from './model.js'
import { preactResNet, preactResNetConfig } from './preact-resnet.js'
import { resnet, resnetConfig } from './resnet.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

// What tools/make-resnet-fixtures.py has, in the same integers.
const [RATE, MOMENTUM, BATCH, CLASSES] = [0.05, 0.9, 4, 3]
const preprocessor = JSON.stringify({ image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] })
const bytesOf = (count: number, side: number, salt: number) =>
  Uint8Array.from(
    { length: count * 3 * side * side },
    (_, n) => (n * 7919 + Math.floor(n / 97) * 31 + salt * 101) % 256,
  )
const pixelsOf = (count: number, side: number, salt: number) =>
  Float32Array.from(bytesOf(count, side, salt), value => value / 255)
const labelsOf = (step: number) => Array.from({ length: BATCH }, (_, i) => (step + i * i) % CLASSES)

interface Goldens {
  readonly logits: number[][]
  readonly losses?: number[]
}
const fixture = (name: string, file: string) =>
  readFileSync(new URL(`../../fixtures/resnet/${name}/${file}`, import.meta.url))
const goldens = (name: string): Goldens => JSON.parse(fixture(name, 'goldens.json').toString())
function checkpoint(name: string): Checkpoint {
  const files = {
    'config.json': fixture(name, 'config.json').toString(),
    'model.safetensors': fixture(name, 'model.safetensors'),
    'preprocessor_config.json': preprocessor,
  }
  return fromHuggingFace(files, name)
}

/** The largest difference, relative to the largest value if that is above one. */
function error(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(got.length).toBe(wanted.length)
  const largest = Array.from(wanted).reduce((most, value) => Math.max(most, Math.abs(value)), 1)
  return Array.from(wanted).reduce((most, v, i) => Math.max(most, Math.abs(got[i]! - v)), 0) / largest
}

const names = [
  ...['basic', 'basic-odd', 'basic-one-width', 'bottleneck', 'bottleneck-early', 'bottleneck-both'],
  ...['cifar', 'preact'],
]

describe.each(names)('the checkpoint %s', name => {
  it("has PyTorch's logits", async () => {
    const { model, weights } = checkpoint(name)
    const { logits } = await evaluate(runtime, classifierGraph(model, weights, 2), {
      images: bytesOf(2, model.imageSize, 0),
    })
    expect(error(numbers(logits), goldens(name).logits.flat())).toBeLessThan(1e-5)
  })
})

describe.each(names.filter(name => goldens(name).losses))('training on from the checkpoint %s', name => {
  const { model, weights } = checkpoint(name)
  const side = model.imageSize
  const wanted = parseSafetensors(fixture(name, 'training.safetensors'), name).tensors
  const trainable = Object.keys(model.parameters).filter(key => !model.parameters[key]!.buffer)
  const valuesOf = (key: string) => wanted.get(key)!.data as Float32Array

  it("has PyTorch's gradients", async () => {
    const graph = new Graph()
    const values = bakeWeights(graph, model, weights)
    const pixels = graph.input('pixels', 'float32', [BATCH, 3, side, side])
    const { logits } = model.forward(values, pixels, { training: true })
    const loss = crossEntropy(logits, graph.constant('int64', [BATCH], labelsOf(0)))
    const found = gradients(
      [{ value: loss }],
      trainable.map(key => values[key]!),
    )
    found.forEach((gradient, i) => {
      graph.output(`d ${trainable[i]}`, gradient!)
    })
    const got = await evaluate(runtime, graph, { pixels: pixelsOf(BATCH, side, 1) })
    expect([...wanted.keys()].filter(key => key.startsWith('gradient.')).length).toBe(trainable.length)
    for (const key of trainable)
      expect(error(numbers(got[`d ${key}`]), valuesOf(`gradient.${key}`)), key).toBeLessThan(1e-5)
  })

  it("has PyTorch's losses, parameters and running statistics over three steps of SGD", async () => {
    const step = buildTrainStep({
      parameters: model.parameters,
      optimizer: sgd({ momentum: MOMENTUM }),
      inputs: {
        pixels: { dtype: 'float32', shape: [BATCH, 3, side, side] },
        labels: { dtype: 'int64', shape: [BATCH] },
      },
      forward(_, values, { pixels, labels }) {
        const { logits, buffers } = model.forward(values, pixels!, { training: true })
        return { loss: crossEntropy(logits, labels!), ...(buffers && { buffers }) }
      },
    })
    const session = await runtime.load(step.model, {
      state: step.state,
      initialState: step.initialState(weights),
    })
    for (const [i, loss] of goldens(name).losses!.entries()) {
      const { loss: got } = await session.run({
        pixels: { dtype: 'float32', shape: [BATCH, 3, side, side], data: pixelsOf(BATCH, side, i + 1) },
        labels: { dtype: 'int64', shape: [BATCH], data: BigInt64Array.from(labelsOf(i), BigInt) },
        ...step.scalars(i + 1, RATE),
      })
      expect(Math.abs(Number(got!.data[0]) - loss)).toBeLessThan(1e-5)
    }
    const after = step.result(await session.readState())
    await session.release()
    expect(Object.keys(after).length).toBe([...wanted.keys()].filter(key => key.startsWith('after.')).length)
    for (const [key, data] of Object.entries(after)) {
      expect(error(data, valuesOf(`after.${key}`)), key).toBeLessThan(1e-5)
      expect(data, key).not.toEqual(weights[key])
    }
  })
})

describe('a ResNet', () => {
  const classNames = Array.from({ length: 1000 }, (_, i) => String(i))

  it('has as many trainable parameters as published', () => {
    const eighteen = { hidden_sizes: [64, 128, 256, 512], depths: [2, 2, 2, 2], layer_type: 'basic' }
    const count = (config: object) => parameterCount(resnet.build(resnetConfig.parse(config), { classNames }))
    expect(count(eighteen)).toBe(11_689_512)
    expect(count({})).toBe(25_557_032)
    const ten = { classNames: classNames.slice(0, 10) }
    expect(parameterCount(preactResNet.build(preactResNetConfig.parse({}), ten))).toBe(11_171_146)
  })

  it('starts with running statistics of zero mean and variance one', () => {
    const model = tinyResNet()
    const weights = initialWeights(model, rng(1, 'init'))
    const buffers = Object.keys(weights).filter(name => model.parameters[name]!.buffer)
    expect(buffers.length).toBe(2 * 6)
    for (const name of buffers) {
      expect(new Set(weights[name]), name).toEqual(new Set([name.endsWith('var') ? 1 : 0]))
      expect(model.parameters[name]!.decay).toBe(false)
    }
  })

  it.each([
    [{ depths: [1, 1, 1] }, 'hidden_sizes has 2 stages, but depths has 3'],
    [{ layer_type: 'bottleneck', hidden_sizes: [8, 3] }, 'hidden_sizes 3 is too few for a bottleneck'],
  ])('of %o is refused', (changes, message) => {
    expect(() => tinyResNet(changes as never)).toThrow(message)
  })

  it('of which stochastic depth leaves no branch is its shortcuts', async () => {
    const model = tinyResNet({ hidden_act: 'relu' })
    expect(model.branches).toBe(2)
    const weights = strongWeights(model, 3)
    const graph = new Graph()
    const pixels = graph.input('pixels', 'float32', [2, 3, 8, 8])
    const branchScale = graph.constant('float32', [2, 2], [0, 0, 0, 0])
    const logitsOf = (changed: Record<string, Float32Array>, scope: string, options: object = {}) =>
      model.forward(bakeWeights(graph, model, changed, scope), pixels, options).logits
    graph.output('dropped', logitsOf(weights, 'a.', { branchScale }))
    // The last normalization of a branch with neither weight nor bias gives zeros.
    const silent = Object.fromEntries(
      Object.entries(weights).map(([name, data]) => [
        name,
        /layer\.1\.normalization\.(weight|bias)$/.test(name) ? new Float32Array(data.length) : data,
      ]),
    )
    graph.output('silent', logitsOf(silent, 'b.'))
    graph.output('whole', logitsOf(weights, 'c.'))
    const got = await evaluate(runtime, graph, { pixels: tinyImages(2).pixels.map(Number) })
    expect(error(numbers(got.dropped), numbers(got.silent))).toBeLessThan(1e-6)
    expect(error(numbers(got.dropped), numbers(got.whole))).toBeGreaterThan(0.01)
  })
})

describe('the loss of a model in training mode', () => {
  it('has the gradient of central differences, through every normalization', async () => {
    // With smooth activations throughout.
    const model = tinyPreActResNet({ hidden_sizes: [6, 6] })
    const names = Object.keys(model.parameters).filter(name => !model.parameters[name]!.buffer)
    const weights = strongWeights(model, 6)
    const pixels = pixelsOf(BATCH, 8, 1)
    const error = await gradientError(runtime, {
      inputs: names.map(name => model.parameters[name]!.shape),
      build(graph, inputs) {
        const values = Object.fromEntries(names.map((name, i) => [name, inputs[i]!]))
        const constants = bakeWeights(graph, model, weights)
        const images = graph.constant('float32', [BATCH, 3, 8, 8], pixels)
        const { logits } = model.forward({ ...constants, ...values }, images, { training: true })
        return crossEntropy(logits, graph.constant('int64', [BATCH], labelsOf(0)))
      },
      at: names.map(name => [...weights[name]!]),
      dtype: 'float32',
      step: 5e-3,
      probes: 3,
    })
    expect(error).toBeLessThan(1e-2)
  })
})

describe('frozen running statistics', () => {
  it('are what a normalization goes by in training, and stay', async () => {
    const model = tinyResNet()
    const weights = strongWeights(model, 5)
    const graph = new Graph()
    const pixels = graph.input('pixels', 'float32', [2, 3, 8, 8])
    const forward = (scope: string, options: Parameters<typeof model.forward>[2]) =>
      model.forward(bakeWeights(graph, model, weights, scope), pixels, options)
    const all = forward('a.', { training: true, frozen: () => true })
    const stem = (name: string) => name.startsWith('resnet.embedder')
    const some = forward('b.', { training: true, frozen: stem })
    expect(all.buffers).toEqual({})
    expect(Object.keys(some.buffers!).length).toBe(2 * 5)
    expect(Object.keys(some.buffers!).filter(stem)).toEqual([])
    const deliver = (name: string, value: Value) => graph.output(name, value)
    deliver('all', all.logits)
    deliver('inference', forward('c.', {}).logits)
    deliver('some', some.logits)
    const got = await evaluate(runtime, graph, { pixels: pixelsOf(2, 8, 1) })
    expect(numbers(got.all)).toEqual(numbers(got.inference))
    expect(error(numbers(got.some), numbers(got.inference))).toBeGreaterThan(0.01)
  })
})
