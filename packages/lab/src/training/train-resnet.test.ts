import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { predict } from '../inference/classifier.js'
import { initialWeights, type Weights } from '../models/model.js'
import { rng } from '../random/rng.js'
import { tinyImages } from '../testing/tiny.js'
import { tinyPreActResNet, tinyResNet } from '../testing/tiny-resnet.js'
import { type TrainingState, train } from './train.js'
import { trainingConfig } from './training-config.js'
import { trainingStep } from './training-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const models = { resnet: tinyResNet(), 'preact-resnet': tinyPreActResNet() }
const data = tinyImages(30)
const config = trainingConfig.parse({ epochs: 2, batchSize: 10, learningRate: 0.02, crop: 1 })

const hex = (weights: Weights) =>
  Object.fromEntries(
    Object.entries(weights).map(([name, values]) => [
      name,
      Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex'),
    ]),
  )

describe.each(Object.entries(models))('a %s', (_, model) => {
  const from = initialWeights(model, rng(1, 'init'))
  const options = { runtime, model, data, config, seed: 3 }

  it('learns, and knows in inference mode what it learnt', async () => {
    const longer = { ...config, epochs: 20, crop: 0, labelSmoothing: 0 }
    const losses: number[] = []
    const trained = await train({
      ...options,
      from,
      config: longer,
      onStep: ({ loss }) => losses.push(loss),
    })
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2)
    const test = tinyImages(60, 2)
    const right = (called: Int32Array) => called.filter((label, i) => label === test.labels[i]).length
    expect(right(await predict(runtime, model, trained, test, 30))).toBeGreaterThan(50)
  })

  it.each([
    ['plain', {}],
    ['with all that has a memory', { ema: 0.9, sam: 0.05, microBatches: 2, stochasticDepth: 0.2 }],
    ['computed again', { recompute: true }],
  ])('interrupted and resumed ends in the same bits (%s)', async (_, changes) => {
    const settings = { ...options, config: { ...config, ...changes } }
    const uninterrupted = await train({ ...settings, from })
    const abort = new AbortController()
    let saved: TrainingState | undefined
    const interrupted = train({
      ...settings,
      from,
      signal: abort.signal,
      onStep: ({ step }) => step === 2 && abort.abort(new Error('stopped by hand')),
      onCheckpoint: async state => {
        saved = state
      },
    })
    await expect(interrupted).rejects.toThrow('stopped by hand')
    expect(hex(await train({ ...settings, from: saved! }))).toEqual(hex(uninterrupted))
    for (const name of Object.keys(from)) expect(uninterrupted[name], name).not.toEqual(from[name])
  })

  it('may be frozen but for its head: running statistics stay, too', async () => {
    const frozen = [model.modelType]
    const trained = await train({ ...options, from, config: { ...config, frozen } })
    for (const [name, bits] of Object.entries(hex(from)))
      if (!name.startsWith('classifier')) expect(hex(trained)[name], name).toBe(bits)
      else expect(hex(trained)[name], name).not.toBe(bits)
  })
})

describe('a batch that gives one value a channel', () => {
  it('is refused in a sentence', () => {
    const narrow = tinyResNet({ hidden_sizes: [4, 6, 8, 8], depths: [1, 1, 1, 1] })
    expect(() => trainingStep(narrow, { ...config, batchSize: 2, microBatches: 2 }, data)).toThrow(
      'batch normalization cannot learn from one value a channel: use larger batches',
    )
    expect(() => trainingStep(narrow, { ...config, batchSize: 2 }, data)).not.toThrow()
  })
})
