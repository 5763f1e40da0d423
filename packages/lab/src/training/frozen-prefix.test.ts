import { InputError, matrixOperations } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { imagesInMemory } from '../images/image-set.js'
import { tensorsInMemory } from '../images/tensor-source.js'
import { computePrefix, prefixInMemory } from '../inference/prefix.js'
import { initialWeights, type Model, type Weights } from '../models/model.js'
import { rng } from '../random/rng.js'
import { strongWeights, tinyImages, tinyViT } from '../testing/tiny.js'
import { tinyFamilies } from '../testing/tiny-families.js'
import { distillation } from './distillation.js'
import { frozenPrefix } from './frozen-prefix.js'
import { crossEntropyObjective } from './objective.js'
import { type StepEvent, type TrainingState, train } from './train.js'
import { type TrainingConfig, trainingConfig } from './training-config.js'
import { trainingStep } from './training-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const data = tinyImages(24, 1, 16)
const plain = trainingConfig.parse({ epochs: 3, batchSize: 6, learningRate: 0.01, crop: 0, flip: false })
/** All that lies before a block. */
const before = (model: Model, block: number) =>
  Object.keys(model.parameters).filter(name => model.parameters[name]!.depth! <= block)
const frozenTo = (model: Model, block: number, changes: Partial<TrainingConfig> = {}): TrainingConfig => ({
  ...plain,
  frozen: before(model, block),
  ...changes,
})

describe('the frozen prefix', () => {
  const model = tinyFamilies.vit!

  it('reaches to the first block that is trained', () => {
    expect(frozenPrefix(model, plain)).toBe(null)
    const frozen = (...frozen: string[]) => frozenPrefix(model, { ...plain, frozen })
    expect(frozen('vit.embeddings')).toBe(0)
    expect(frozen('vit.embeddings', 'vit.encoder.layer.0')).toBe(1)
    expect(frozen('vit.embeddings', 'vit.encoder.layer.1')).toBe(0)
    expect(frozen('vit.encoder')).toBe(null)
    expect(frozen('vit.embeddings', 'vit.encoder')).toBe(3)
    expect(frozen('vit')).toBe(3)
    expect(() => frozen('vit.embedding')).toThrow(InputError)
    // A running statistic that moves is not frozen.
    const resnet = tinyFamilies.resnet!
    const names = before(resnet, 1).filter(
      name => !name.endsWith('layers.0.layer.1.normalization.running_var'),
    )
    expect(frozenPrefix(resnet, { ...plain, frozen: names })).toBe(0)
    expect(frozenPrefix(resnet, { ...plain, frozen: before(resnet, 1) })).toBe(1)
  })

  it('is none where what a block is given differs from step to step', () => {
    const changes: Partial<TrainingConfig>[] = [
      { crop: 1 },
      { flip: true },
      { mixup: 0.1 },
      { cutmix: 1 },
      { stochasticDepth: 0.1 },
    ]
    for (const change of changes) expect(frozenPrefix(model, frozenTo(model, 2, change))).toBe(null)
    expect(frozenPrefix(model, frozenTo(model, 2, { labelSmoothing: 0.3, sam: 0.1, ema: 0.9 }))).toBe(2)
  })
})

describe('a training with frozen leading blocks', () => {
  const backward = (model: Model, config: TrainingConfig) =>
    trainingStep(model, config, data).graph.nodes.filter(({ name }) => name.includes('backward/'))

  it('builds no gradient for them', () => {
    const [one, three] = [1, 3].map(num_hidden_layers => tinyViT({ image_size: 16, num_hidden_layers }))
    // As many nodes as a model has that consists of what is trained.
    const cut = backward(three!, frozenTo(three!, 2)).length
    expect(cut).toBe(backward(one!, frozenTo(one!, 0)).length)
    expect(cut).toBeLessThan(backward(three!, plain).length / 2)
  })

  it.each(Object.entries(tinyFamilies))('has none for those of a %s', (_, model) => {
    const frozen = new Set(before(model, 1))
    const read = new Set(
      backward(model, frozenTo(model, 1)).flatMap(({ inputs }) => inputs.map(input => input?.name ?? '')),
    )
    expect([...frozen].filter(name => read.has(name))).toEqual([])
  })
})

/** Trains from images, and from what the frozen blocks made of them. */
async function bothWays(model: Model, block: number, changes: Partial<TrainingConfig> = {}) {
  const from = strongWeights(model, 2, 0.2)
  const config = frozenTo(model, block, changes)
  const hidden = await prefixInMemory(runtime, model, from, data, block, 10)
  const run = async (prefix?: { block: number; hidden: typeof hidden }, images = data) => {
    const steps: StepEvent[] = []
    const onStep = (event: StepEvent) => steps.push(event)
    const options = { runtime, model, data: images, config, seed: 3, from, onStep }
    return { steps, weights: await train({ ...options, ...(prefix && { prefix }) }) }
  }
  // Whoever starts at a block reads no image.
  const unreadable = {
    ...data,
    read: async () => {
      throw new Error('an image was read')
    },
  }
  return { from, whole: await run(), cut: await run({ block, hidden }, unreadable) }
}

describe('a training that starts behind its frozen blocks', () => {
  const everywhere = Object.entries(tinyFamilies).flatMap(([name, model]) =>
    [0, 1, model.blocks.length].map((block): [string, number, Model, Partial<TrainingConfig>?] => [
      name,
      block,
      model,
    ]),
  )
  const { vit, swin, resnet } = tinyFamilies
  it.each([
    ...everywhere,
    ['vit with micro-batches, SAM and averages', 2, vit!, { microBatches: 2, sam: 0.05, ema: 0.9 }],
    ['swin computed again, with rates by depth', 2, swin!, { recompute: true, layerDecay: 0.7 }],
    ['resnet in micro-batches', 1, resnet!, { microBatches: 3 }],
  ] as [string, number, Model, Partial<TrainingConfig>?][])(
    'has the losses of the whole one: %s, at block %d',
    async (_, block, model, changes) => {
      const { from, whole, cut } = await bothWays(model, block, changes)
      cut.steps.forEach((step, i) => {
        const { loss, gradientNorm, accuracy } = whole.steps[i]!
        expect(Math.abs(step.loss / loss - 1)).toBeLessThan(1e-5)
        expect(Math.abs(step.gradientNorm / gradientNorm - 1)).toBeLessThan(1e-3)
        expect(step.accuracy).toBe(accuracy)
      })
      expect(whole.steps.at(-1)!.loss).not.toBe(whole.steps[0]!.loss)
      for (const name of before(model, block)) expect(cut.weights[name]).toEqual(from[name])
      expect(Object.keys(cut.weights)).toEqual(Object.keys(whole.weights))
    },
  )

  it('does the work behind them alone', () => {
    const model = tinyFamilies.vit!
    const config = frozenTo(model, 3)
    const [whole, cut] = [{}, { startAt: 3 }].map(options => trainingStep(model, config, data, options))
    expect(cut!.graph.inputs.map(({ name }) => name)).not.toContain('images')
    expect(whole!.graph.inputs.map(({ name }) => name)).not.toContain('hidden')
    expect(cut!.graph.nodes.some(({ name }) => /embeddings|block/.test(name))).toBe(false)
    expect(matrixOperations(cut!.graph)).toBeLessThan(matrixOperations(whole!.graph) / 10)
    expect(Object.keys(cut!.state)).toEqual(Object.keys(whole!.state))
  })

  it('interrupted and resumed ends in the same bits', async () => {
    const model = tinyFamilies.swin!
    const from = strongWeights(model, 2, 0.2)
    const prefix = { block: 2, hidden: await prefixInMemory(runtime, model, from, data, 2) }
    const options = { runtime, model, data, config: frozenTo(model, 2), seed: 3, prefix }
    const uninterrupted = await train({ ...options, from })
    const abort = new AbortController()
    let saved: TrainingState | undefined
    const stopped = train({
      ...options,
      from,
      signal: abort.signal,
      onStep: ({ step }) => step === 5 && abort.abort(new Error('stopped by hand')),
      onCheckpoint: async state => {
        saved = state
      },
    })
    await expect(stopped).rejects.toThrow('stopped by hand')
    const bits = (weights: Weights) =>
      Object.values(weights).map(values => [...new Uint32Array(values.buffer)])
    expect(bits(await train({ ...options, from: saved! }))).toEqual(bits(uninterrupted))
  })

  it('is refused where it would not be the same training', async () => {
    const model = tinyFamilies.vit!
    const failure = (config: TrainingConfig, startAt: number) => () =>
      trainingStep(model, config, data, { startAt })
    expect(failure(frozenTo(model, 1), 2)).toThrow(
      'a training cannot start at block 2: freeze all that lies before it',
    )
    expect(failure(frozenTo(model, 2, { flip: true }), 2)).toThrow(InputError)
    expect(failure(frozenTo(model, 2), 1)).not.toThrow()
    const teacher = { model, weights: strongWeights(model, 1) }
    const objective = distillation({ teacher, temperature: 2, weight: 0.5 })
    expect(() => trainingStep(model, frozenTo(model, 2), data, { startAt: 2, objective })).toThrow(
      'the teacher needs whole images',
    )
    const options = { runtime, model, data, config: frozenTo(model, 2), seed: 3, from: teacher.weights }
    const hidden = tensorsInMemory([17, 8], new Float32Array(23 * 17 * 8))
    await expect(train({ ...options, prefix: { block: 2, hidden } })).rejects.toThrow(
      'block 2 needs 24 tensors [17, 8], one an image of tiny, but 23 tensors [17, 8] are given',
    )
  })

  it('delivers the loss of every image', async () => {
    const model = tinyFamilies.vit!
    const from = strongWeights(model, 2)
    const prefix = { block: 3, hidden: await prefixInMemory(runtime, model, from, data, 3) }
    let delivered = 0
    await train({
      runtime,
      model,
      data,
      from,
      prefix,
      config: frozenTo(model, 3),
      objective: crossEntropyObjective({ losses: true }),
      seed: 3,
      onStep: (_, details) => {
        delivered += details.delivered.losses!.data.length
      },
    })
    expect(delivered).toBe(3 * 24)
  })

  it('does less, and says how much faster that is', async () => {
    const model = tinyViT({
      image_size: 32,
      hidden_size: 64,
      intermediate_size: 128,
      num_attention_heads: 4,
      num_hidden_layers: 6,
    })
    const { classNames } = data
    const large = imagesInMemory({ ...tinyImages(64, 1, 32), classNames })
    const from = initialWeights(model, rng(1, 'init'))
    const config = frozenTo(model, 5, { batchSize: 32, epochs: 6 })
    const prefix = { block: 5, hidden: await prefixInMemory(runtime, model, from, large, 5) }
    const median = async (options: { prefix?: typeof prefix }) => {
      const times: number[] = []
      await train({
        runtime,
        model,
        data: large,
        config,
        from,
        seed: 1,
        ...options,
        onStep: ({ step }, { seconds }) => step > 3 && times.push(seconds),
      })
      return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!
    }
    const operations = [{}, { startAt: 5 }].map(options =>
      matrixOperations(trainingStep(model, config, large, options).graph),
    )
    // Forward alone through five blocks, and forward and backward through one.
    expect(operations[0]! / operations[1]!).toBeGreaterThan(2)
    const ratio = (await median({})) / (await median({ prefix }))
    console.log(`a step behind five of six frozen blocks is ${ratio.toFixed(1)} times as fast`)
  })
})

describe('what frozen blocks compute', () => {
  it('comes in pieces, in the order of the images', async () => {
    const model = tinyFamilies.cct!
    const weights = strongWeights(model, 3)
    const pieces: Float32Array[] = []
    for await (const piece of computePrefix(runtime, model, weights, data, 1, 10)) pieces.push(piece)
    expect(pieces.map(piece => piece.length / (16 * 8))).toEqual([10, 10, 4])
    const whole = await prefixInMemory(runtime, model, weights, data, 1, 24)
    const [last, read] = [pieces[2]!, new Float32Array(4 * 16 * 8)]
    await whole.read([20, 21, 22, 23], read)
    read.forEach((value, i) => {
      expect(Math.abs(value - last[i]!)).toBeLessThan(1e-5)
    })
  })

  it('is refused for a block that there is not', async () => {
    const model = tinyFamilies.vit!
    const computed = computePrefix(runtime, model, strongWeights(model, 1), data, 4)
    await expect(computed.next()).rejects.toThrow(
      new InputError('the model has no block 4: its blocks are 0 to 2, and 3 stands for what follows them'),
    )
  })
})
