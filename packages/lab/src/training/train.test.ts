import {
  adamW,
  buildTrainStep,
  cast,
  correctCount,
  crossEntropy,
  div,
  type Feeds,
  InputError,
  warmupCosine,
} from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { predict } from '../inference/classifier.js'
import { initialWeights, type Weights } from '../models/model.js'
import { rng } from '../random/rng.js'
import { tinyImages, tinyViT } from '../testing/tiny.js'
import { batcher, stepsOf } from './batches.js'
import { stepsPerCall } from './step-calls.js'
import { type StepDetails, type StepEvent, type TrainingState, train } from './train.js'
import { type TrainingConfig, trainingConfig } from './training-config.js'
import { trainingStep } from './training-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const model = tinyViT()
const data = tinyImages(30)
const weights = initialWeights(model, rng(1, 'init'))
const config = trainingConfig.parse({
  epochs: 2.5,
  batchSize: 8,
  learningRate: 0.01,
  warmupEpochs: 0.5,
  crop: 1,
  stochasticDepth: 0.2,
})
const options = { runtime, model, data, config, seed: 3, from: weights as Weights | TrainingState }

const hex = (tensors: Weights) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, data]) => [
      name,
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex'),
    ]),
  )

/** Trains to the end, noting all that is said on the way. */
async function whole(changes: Partial<Parameters<typeof train>[0]> = {}) {
  const steps: StepEvent[] = []
  const epochs: number[] = []
  const result = await train({
    ...options,
    onStep: event => steps.push(event),
    onEpoch: async epoch => {
      epochs.push(epoch)
    },
    ...changes,
  })
  return { steps, epochs, weights: hex(result) }
}

describe('train', () => {
  it('does the steps that it says, one full batch each', async () => {
    expect(stepsOf(30, config)).toEqual({ perEpoch: 3, total: 8 })
    const { steps, epochs } = await whole()
    expect(steps.map(s => s.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(steps.every(s => s.steps === 8 && s.accuracy >= 0 && s.accuracy <= 1 && s.loss > 0)).toBe(true)
    expect(steps[2]!.epoch).toBe(1)
    expect(epochs).toEqual([1, 2, 8 / 3])
    // 0.5 epochs of 3 steps, rounded, of warm-up.
    expect(steps.slice(0, 3).map(s => s.learningRate)).toEqual([0.005, 0.01, 0.01])
  })

  it('gives the same bits for the same seed, and others for another', async () => {
    const first = await whole()
    const again = await whole()
    expect(again.weights).toEqual(first.weights)
    expect(again.steps).toEqual(first.steps)
    expect((await whole({ seed: 4 })).weights).not.toEqual(first.weights)
  })

  it.each<[string, Partial<TrainingConfig>]>([
    ['adamw', {}],
    ['sgd', { optimizer: 'sgd' }],
    [
      'all that has a memory or draws at random',
      {
        ema: 0.9,
        sam: 0.05,
        mixup: 0.4,
        cutmix: 1,
        schedule: 'plateau',
        dropEpochs: 0.5,
        layerDecay: 0.75,
        frozen: ['vit.embeddings'],
        microBatches: 2,
      },
    ],
  ])('interrupted and resumed ends in the same bits (%s)', async (_, changes) => {
    const settings = { config: { ...config, ...changes } }
    const uninterrupted = await whole(settings)
    for (const stopAfter of [1, 4]) {
      const abort = new AbortController()
      let saved: TrainingState | undefined
      const steps: StepEvent[] = []
      const onStep = (event: StepEvent) => {
        steps.push(event)
        if (event.step === stopAfter) abort.abort(new Error('stopped by hand'))
      }
      const onCheckpoint = async (state: TrainingState) => {
        saved = state
      }
      await expect(
        train({ ...options, ...settings, onStep, onCheckpoint, signal: abort.signal }),
      ).rejects.toThrow('stopped by hand')
      expect(saved!.step).toBe(stopAfter)
      const rest = await whole({ ...settings, from: saved! })
      expect(rest.weights).toEqual(uninterrupted.weights)
      expect([...steps, ...rest.steps]).toEqual(uninterrupted.steps)
    }
  })

  it.each<[string, Partial<TrainingConfig>]>([
    ['adamw', {}],
    [
      'all that has a memory or draws at random',
      {
        ema: 0.9,
        mixup: 0.4,
        schedule: 'plateau',
        dropEpochs: 0.5,
        frozen: ['vit.embeddings'],
        microBatches: 2,
      },
    ],
  ])('makes several steps in a call in the bits of single ones, also resumed (%s)', async (_, changes) => {
    const settings = { config: { ...config, ...changes } }
    const singly = await whole(settings)
    for (const stepsPerCall of [2, 16]) {
      const saved: TrainingState[] = []
      const together = await whole({
        ...settings,
        stepsPerCall,
        wantsCheckpoint: () => true,
        onCheckpoint: async state => {
          saved.push(state)
        },
      })
      expect(together).toEqual(singly)
      // Three steps an epoch, in 2.5 epochs: no call goes beyond the end of one.
      expect(saved.map(({ step }) => step)).toEqual(stepsPerCall === 2 ? [0, 2, 3, 5, 6] : [0, 3, 6])
      const rest = await whole({ ...settings, stepsPerCall, from: saved.at(-1)! })
      expect(rest.weights).toEqual(singly.weights)
    }
  })

  it('stops between two calls, with the state of the step before', async () => {
    const abort = new AbortController()
    const saved: number[] = []
    const stopped = whole({
      stepsPerCall: 2,
      signal: abort.signal,
      onStep: ({ step }) => step === 4 && abort.abort(new Error('stopped by hand')),
      onCheckpoint: async ({ step }) => {
        saved.push(step)
      },
    })
    await expect(stopped).rejects.toThrow('stopped by hand')
    expect(saved).toEqual([5])
    await expect(whole({ stepsPerCall: 1.5 })).rejects.toThrow('a call cannot make 1.5 steps')
  })

  it('makes several steps in a call where the state is copied in every call, as many as their images allow', () => {
    expect((['cpu', 'webgpu', 'coreml', 'dml'] as const).map(device => stepsPerCall(device, 1))).toEqual([
      1, 1, 1, 1,
    ])
    expect([1, 2 ** 23, 2 ** 24, 2 ** 30].map(bytes => stepsPerCall('cuda', bytes))).toEqual([16, 16, 8, 1])
  })

  it('hands out a checkpoint wherever one is wanted, without changing the course', async () => {
    const saved: TrainingState[] = []
    const uninterrupted = await whole()
    const result = await whole({
      wantsCheckpoint: () => true,
      onCheckpoint: async state => {
        saved.push(state)
      },
    })
    expect(result).toEqual(uninterrupted)
    expect(saved.map(state => state.step)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    // Each one is a copy: the sixth still leads to the same end.
    expect((await whole({ from: saved[5]! })).weights).toEqual(uninterrupted.weights)
  })

  it('is a loop over batches, each step fed its own number and rate', async () => {
    const step = trainingStep(model, config, data)
    const session = await runtime.load(step.model, {
      state: step.state,
      initialState: step.initialState(weights),
    })
    const rate = warmupCosine({ peak: 0.01, steps: 8, warmup: 2 })
    const next = batcher({ data, config, seed: 3, branches: model.branches })
    for (let i = 0; i < 8; i++)
      await session.run({ ...(await next(i)).feeds, ...step.scalars(i + 1, rate(i)) })
    const looped = step.result(await session.readState())
    await session.release()
    expect((await whole()).weights).toEqual(hex(looped))
  })

  it('learns what there is to learn', async () => {
    const longer = { ...config, epochs: 25, stochasticDepth: 0, crop: 0, labelSmoothing: 0 }
    const trained = await train({ ...options, config: longer })
    const test = tinyImages(60, 2)
    const right = (called: Int32Array) => called.filter((label, i) => label === test.labels[i]).length
    expect(right(await predict(runtime, model, trained, test, 25))).toBeGreaterThan(50)
    expect(right(await predict(runtime, model, weights, test, 25))).toBeLessThan(40)
  })
})

describe('data that are read while the model runs', () => {
  /** The images from a source that takes its time, another for every read. */
  function slowly(fails?: number) {
    const reads = { begun: 0, underWay: 0 }
    const source = {
      ...data,
      async read(indices: ArrayLike<number>, out: Uint8Array) {
        const i = reads.begun++
        reads.underWay++
        try {
          await new Promise(resolve => setTimeout(resolve, (i * 7) % 20))
          if (i === fails) throw new InputError('image 17 is damaged')
          await data.read(indices, out)
        } finally {
          reads.underWay--
        }
      },
    }
    return { reads, source }
  }

  it('lead to the same bits, and are asked for before they are needed', async () => {
    const { reads, source } = slowly()
    const begun: number[] = []
    const times: StepDetails[] = []
    const steps: StepEvent[] = []
    const onStep = (event: StepEvent, details: StepDetails) => {
      steps.push(event)
      begun.push(reads.begun)
      times.push(details)
    }
    const slow = hex(await train({ ...options, data: source, onStep }))
    const plain = await whole()
    expect(slow).toEqual(plain.weights)
    expect(steps).toEqual(plain.steps)
    // Four batches ahead of every step but the last ones.
    expect(begun).toEqual([5, 6, 7, 8, 8, 8, 8, 8])
    for (const { seconds, dataWaitSeconds } of times) {
      expect(dataWaitSeconds).toBeGreaterThanOrEqual(0)
      expect(seconds).toBeGreaterThan(dataWaitSeconds)
    }
  })

  it('that cannot be read end the training where they are needed, with their own error', async () => {
    const { reads, source } = slowly(4)
    const steps: number[] = []
    const onStep = ({ step }: StepEvent) => steps.push(step)
    await expect(train({ ...options, data: source, onStep })).rejects.toThrow(
      new InputError('image 17 is damaged'),
    )
    expect(steps).toEqual([1, 2, 3, 4])
    expect(reads.underWay).toBe(0)
  })

  it('are not under way any more when the training was stopped', async () => {
    const { reads, source } = slowly()
    const abort = new AbortController()
    const onStep = () => abort.abort(new Error('stopped by hand'))
    const stopped = train({ ...options, data: source, onStep, signal: abort.signal })
    await expect(stopped).rejects.toThrow('stopped by hand')
    expect(reads).toEqual({ begun: 5, underWay: 0 })
  })
})

describe('the training step', () => {
  const [count, side] = [config.batchSize, data.height]

  it('by default is forward pass, gradients and optimizer, and nothing else', () => {
    const step = buildTrainStep({
      parameters: model.parameters,
      optimizer: adamW({ weightDecay: 0.05 }),
      clipNorm: 1,
      inputs: {
        images: { dtype: 'uint8', shape: [count, 3, side, side] },
        labels: { dtype: 'int64', shape: [count] },
        branchScale: { dtype: 'float32', shape: [model.branches, count], axis: 1 },
      },
      forward(_graph, parameters, { images, labels, branchScale }) {
        const pixels = div(cast(images!, 'float32'), 255)
        const { logits } = model.forward(parameters, pixels, { branchScale: branchScale! })
        return {
          loss: crossEntropy(logits, labels!, 0.1),
          deliver: { correct: correctCount(logits, labels!) },
        }
      },
    })
    expect(trainingStep(model, config, data).model).toEqual(step.model)
  })

  it('of mixed images that were not mixed learns what it learns of labels', async () => {
    const plain = { ...config, stochasticDepth: 0 }
    const { feeds } = await batcher({ data, config: plain, seed: 3, branches: model.branches })(0)
    const targets = Float32Array.from({ length: count * 3 }, (_, i) =>
      Number(feeds.labels!.data[Math.floor(i / 3)]) === i % 3 ? 1 : 0,
    )
    const soft = {
      images: feeds.images!,
      targets: { dtype: 'float32', shape: [count, 3], data: targets } as const,
    }
    const learned = async (config: TrainingConfig, batch: Feeds) => {
      const step = trainingStep(model, config, data)
      const session = await runtime.load(step.model, {
        state: step.state,
        initialState: step.initialState(weights),
      })
      const { loss, correct } = await session.run({ ...batch, ...step.scalars(1, 0.01) })
      const result = hex(step.result(await session.readState()))
      await session.release()
      return { loss, correct, result }
    }
    expect(await learned({ ...plain, mixup: 1 }, soft)).toEqual(await learned(plain, feeds))
  })

  it('has rates by depth: embeddings first, block i next, the head last', () => {
    const depths = Object.entries(model.parameters).map(([name, { depth }]) => {
      const block = /layer\.(\d)/.exec(name)
      const wanted = block ? Number(block[1]) + 1 : name.startsWith('vit.embeddings') ? 0 : 3
      return { name, depth, wanted }
    })
    for (const { depth, wanted, name } of depths) expect(depth, name).toBe(wanted)
    expect(new Set(depths.map(({ depth }) => depth))).toEqual(new Set([0, 1, 2, 3]))
  })
})

describe('a configuration', () => {
  const frozen = { ...config, frozen: ['vit.embeddings', 'vit.encoder.layer.0'] }
  const still = (name: string) => /embeddings|layer\.0\./.test(name)

  it('may freeze parameters', async () => {
    const ended = await whole({ config: frozen })
    for (const [name, bits] of Object.entries(hex(weights))) {
      if (still(name)) expect(ended.weights[name], name).toBe(bits)
      else expect(ended.weights[name], name).not.toBe(bits)
    }
  })

  it('may ask for averages of the weights, which change the result alone', async () => {
    const [plain, averaged] = [await whole(), await whole({ config: { ...config, ema: 0.9 } })]
    expect(averaged.steps).toEqual(plain.steps)
    for (const name of Object.keys(weights)) expect(averaged.weights[name]).not.toBe(plain.weights[name])
  })

  it.each<[string, Partial<TrainingConfig>]>([
    ['SAM', { sam: 0.1 }],
    ['ASAM', { sam: 0.5, samAdaptive: true }],
    ['mixup', { mixup: 0.5 }],
    ['CutMix', { cutmix: 1 }],
    ['rates by depth', { layerDecay: 0.5 }],
    ['a linear schedule', { schedule: 'linear' }],
  ])('may ask for %s, which changes the course', async (_, changes) => {
    const [plain, changed] = [await whole(), await whole({ config: { ...config, ...changes } })]
    expect(changed.weights).not.toEqual(plain.weights)
    expect(changed.steps.every(({ loss }) => loss < 5)).toBe(true)
  })

  it('of micro-batches comes to what the whole batch comes to', async () => {
    const [plain, parts] = [await whole(), await whole({ config: { ...config, microBatches: 4 } })]
    parts.steps.forEach(({ loss, accuracy }, i) => {
      expect(loss).toBeCloseTo(plain.steps[i]!.loss, 4)
      expect(accuracy).toBe(plain.steps[i]!.accuracy)
    })
  })

  it('may compute its blocks again instead of keeping them', async () => {
    const [plain, again] = [await whole(), await whole({ config: { ...config, recompute: true } })]
    again.steps.forEach(({ loss }, i) => {
      expect(loss).toBeCloseTo(plain.steps[i]!.loss, 5)
    })
    const nodes = trainingStep(model, { ...config, recompute: true }, data).graph.nodes
    for (const block of model.blocks)
      expect(nodes.some(({ name }) => name.includes(`recomputed/${block}/`))).toBe(true)
  })

  it('is refused where it makes no sense', async () => {
    const refused = (changes: object) => trainingConfig.safeParse(changes).error?.issues.map(i => i.message)
    expect(refused({ microBatches: 3 })).toEqual(['3 does not divide the batchSize of 128: choose a divisor'])
    expect(refused({ samAdaptive: true })).toEqual(['there is no SAM to adapt: set sam above 0'])
    expect(refused({ ema: 1 })).toHaveLength(1)
    const failure = (changes: Partial<TrainingConfig>) => () =>
      trainingStep(model, { ...config, ...changes }, data)
    expect(failure({ frozen: ['vit.embedding'] })).toThrow(InputError)
    expect(failure({ frozen: ['vit', 'classifier'] })).toThrow('every parameter is frozen')
  })
})

describe('a training that cannot go on says why', () => {
  const failing = async (changes: Partial<Parameters<typeof train>[0]>) => {
    const error = await train({ ...options, ...changes }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(InputError)
    return (error as InputError).message
  }

  it('when the loss is no longer finite', async () => {
    const config = { ...options.config, learningRate: 1e30, clipNorm: null, warmupEpochs: 0 }
    expect(await failing({ config })).toMatch(
      /^the loss became (NaN|Infinity) at step \d of 8: lower learningRate \(1e\+30\) or set clipNorm$/,
    )
  })

  it('when the data have other classes or another size than the model', async () => {
    expect(await failing({ data: { ...data, classNames: ['a', 'b'] } })).toBe(
      'tiny has 2 classes but the model tells 3 apart: use a model made for this data',
    )
    expect(await failing({ data: tinyImages(30, 1, 12) })).toBe(
      'tiny has 12×12 images but the model takes 8×8: load the data with that size',
    )
  })

  it('when there are too few images for a batch', async () => {
    expect(await failing({ data: tinyImages(5) })).toMatch(
      /^5 training images make no batch of 8: lower batchSize/,
    )
  })
})

describe('batches', () => {
  const plain = { ...config, crop: 0, flip: false, stochasticDepth: 0.5 }
  const perEpoch = 3
  const feedsOf = (changes: Partial<TrainingConfig>) => {
    const make = batcher({ data, config: { ...plain, ...changes }, seed: 3, branches: model.branches })
    return async (i: number) => (await make(i)).feeds
  }
  const next = feedsOf({})
  const imagesOf = async (i: number) => {
    const { images, labels } = await next(i)
    return Array.from({ length: 8 }, (_, b) => {
      const pixels = (images!.data as Uint8Array).subarray(b * 192, (b + 1) * 192).join()
      return { pixels, label: Number(labels!.data[b]) }
    })
  }
  const known = Array.from({ length: 30 }, (_, i) => data.pixels.subarray(i * 192, (i + 1) * 192).join())

  it('take each image at most once an epoch, with its label, in another order each time', async () => {
    const orders = [0, 1].map(async epoch => {
      const all = (await Promise.all([0, 1, 2].map(i => imagesOf(epoch * perEpoch + i)))).flat()
      const indices = all.map(({ pixels }) => known.indexOf(pixels))
      expect(new Set(indices).size).toBe(24)
      expect(indices).not.toContain(-1)
      expect(all.map(({ label }) => label)).toEqual(indices.map(i => data.labels[i]))
      return indices
    })
    expect(await orders[0]).not.toEqual(await orders[1])
  })

  it('do not depend on what was asked before', async () => {
    const later = await imagesOf(4)
    await imagesOf(0)
    expect(await imagesOf(4)).toEqual(later)
  })

  it('of mixed images have soft targets, and do not depend on what was asked before', async () => {
    const mixed = feedsOf({ mixup: 0.5, cutmix: 0.5 })
    const [later, { branchScale }] = [await mixed(4), await next(4)]
    expect(Object.keys(later)).toEqual(['images', 'targets', 'branchScale'])
    expect(later.branchScale).toEqual(branchScale)
    expect(later.images!.data).not.toEqual((await next(4)).images!.data)
    await mixed(0)
    expect(await mixed(4)).toEqual(later)
  })

  it('drop later branches more often, and make up for it', async () => {
    const kept = [0, 0, 0, 0]
    for (let i = 0; i < 250; i++) {
      const { branchScale } = await next(i)
      expect(branchScale!.shape).toEqual([4, 8])
      Array.from(branchScale!.data, Number).forEach((value, j) => {
        const branch = Math.floor(j / 8)
        const drop = (0.5 * (branch + 1)) / 4
        if (value !== 0) expect(value).toBeCloseTo(1 / (1 - drop), 6)
        kept[branch]! += value === 0 ? 0 : 1
      })
    }
    // 2000 draws each; the standard deviation is at most 0.011.
    kept.forEach((n, branch) => {
      expect(Math.abs(n / 2000 - (1 - (0.5 * (branch + 1)) / 4))).toBeLessThan(0.05)
    })
  })
})
