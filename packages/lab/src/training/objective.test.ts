import { add, crossEntropy, type Feeds, InputError, max, mul, reshape, type Tensor } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { pixelsInMemory } from '../images/image-set.js'
import { classify } from '../inference/classifier.js'
import { initialWeights, type Model, type Weights } from '../models/model.js'
import { rng } from '../random/rng.js'
import { strongWeights, tinyImages, tinyViT } from '../testing/tiny.js'
import { tinyResNet } from '../testing/tiny-resnet.js'
import { batcher } from './batches.js'
import { type Distillation, distillation } from './distillation.js'
import { type BatchContext, crossEntropyObjective, type Objective } from './objective.js'
import { type StepDetails, type StepEvent, type TrainingState, train } from './train.js'
import { type TrainingConfig, trainingConfig } from './training-config.js'
import { trainingStep } from './training-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const model = tinyViT()
const data = tinyImages(30)
const weights = strongWeights(model, 1)
const config = trainingConfig.parse({ epochs: 2, batchSize: 6, learningRate: 0.01, crop: 1 })
const teacher = {
  model: tinyViT({ hidden_size: 12 }),
  weights: strongWeights(tinyViT({ hidden_size: 12 }), 2),
}

/** What the first step delivers for the batch that it would be given, or for another. */
async function firstStep(
  objective: Objective | undefined,
  changes: Partial<TrainingConfig> = {},
  feeds?: Feeds,
) {
  const all = { ...config, ...changes }
  const step = trainingStep(model, all, data, { ...(objective && { objective }) })
  const session = await runtime.load(step.model, {
    state: step.state,
    initialState: step.initialState(weights),
  })
  const make = batcher({
    data,
    config: all,
    seed: 3,
    branches: model.branches,
    ...(objective && { objective }),
  })
  const batch = feeds ?? (await make(0)).feeds
  const out = await session.run({ ...batch, ...step.scalars(1, 0.01) })
  await session.release()
  return { batch, out, loss: Number(out.loss!.data[0]), losses: Array.from(out.losses?.data ?? [], Number) }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const close = (values: readonly number[], wanted: readonly number[]) => {
  expect(values.length).toBe(wanted.length)
  values.forEach((value, i) => {
    expect(Math.abs(value - wanted[i]!)).toBeLessThan(2e-5 * Math.max(1, Math.abs(wanted[i]!)))
  })
}
const softmax = (logits: ArrayLike<number>, temperature = 1) => {
  const powers = Array.from(logits, z => Math.exp(z / temperature))
  const sum = powers.reduce((total, power) => total + power)
  return powers.map(power => power / sum)
}
const crossEntropyOf = (wanted: readonly number[], found: readonly number[]) =>
  -wanted.reduce((sum, p, c) => sum + p * Math.log(found[c]!), 0)

/** The logits of a fed batch, by another graph. */
const logitsOf = (of: typeof teacher, { images }: Feeds) =>
  classify(runtime, of.model, of.weights, pixelsInMemory(images!.data as Uint8Array, data), 6)
const smoothed = (targets: readonly number[], share: number) =>
  targets.map(p => p * (1 - share) + share / targets.length)
const targetsOf = ({ labels, targets }: Feeds) =>
  Array.from({ length: 6 }, (_, i) =>
    [0, 1, 2].map(c => (targets ? Number(targets.data[3 * i + c]) : Number(Number(labels!.data[i]) === c))),
  )

describe('cross-entropy', () => {
  it.each<[string, Partial<TrainingConfig>]>([
    ['labels', {}],
    ['labels, in micro-batches', { microBatches: 3 }],
    ['labels, with SAM', { sam: 0.05 }],
    ['soft targets of mixed images', { mixup: 1 }],
  ])('against %s is by hand what it is, example by example', async (_, changes) => {
    const { batch, loss, losses } = await firstStep(crossEntropyObjective({ losses: true }), changes)
    const logits = await logitsOf({ model, weights }, batch)
    const wanted = targetsOf(batch).map((targets, i) =>
      crossEntropyOf(smoothed(targets, 0.1), softmax(logits[i]!)),
    )
    close(losses, wanted)
    close([loss], [mean(losses)])
    expect((await firstStep(undefined, changes)).loss).toBe(loss)
  })
})

describe('distillation', () => {
  const settings: Distillation = { teacher, temperature: 3, weight: 0.7, losses: true }

  it.each<[string, Partial<TrainingConfig>]>([
    ['', {}],
    [' in micro-batches, with SAM and computed again', { microBatches: 2, sam: 0.05, recompute: true }],
    [' of mixed images', { cutmix: 1 }],
  ])('is by hand what it is%s', async (_, changes) => {
    const { batch, loss, losses } = await firstStep(distillation(settings), changes)
    const [taught, found] = [await logitsOf(teacher, batch), await logitsOf({ model, weights }, batch)]
    const wanted = targetsOf(batch).map((targets, i) => {
      const [p, q] = [softmax(taught[i]!, 3), softmax(found[i]!, 3)]
      const divergence = crossEntropyOf(p, q) - crossEntropyOf(p, p)
      return 0.3 * crossEntropyOf(smoothed(targets, 0.1), softmax(found[i]!)) + 0.7 * 9 * divergence
    })
    close(losses, wanted)
    close([loss], [mean(wanted)])
  })

  it('from a teacher that is the model itself leaves nothing to learn', async () => {
    const same = distillation({ ...settings, teacher: { model, weights }, weight: 1 })
    const { loss, out } = await firstStep(same)
    expect(Math.abs(loss)).toBeLessThan(1e-6)
    expect(Number(out.gradientNorm!.data[0])).toBeLessThan(1e-4)
  })

  it('brings a student nearer to its teacher, which stays as it is', async () => {
    const before = teacher.weights['classifier.weight']!.slice()
    const losses: number[] = []
    await train({
      runtime,
      model,
      data,
      from: initialWeights(model, rng(1, 'init')),
      config: { ...config, epochs: 12, crop: 0 },
      objective: distillation({ ...settings, weight: 1 }),
      seed: 3,
      onStep: ({ loss }) => losses.push(loss),
    })
    expect(mean(losses.slice(-5))).toBeLessThan(mean(losses.slice(0, 5)) / 2)
    expect(teacher.weights['classifier.weight']).toEqual(before)
  })

  it('refuses what makes no sense', () => {
    const failure = (changes: Partial<Distillation>) => () =>
      trainingStep(model, config, data, { objective: distillation({ ...settings, ...changes }) })
    expect(failure({ temperature: 0 })).toThrow(
      new InputError('the temperature 0 of a distillation must be above 0'),
    )
    expect(failure({ weight: 1.5 })).toThrow(InputError)
    expect(failure({ teacher: { model: tinyViT({ image_size: 16 }), weights: {} } })).toThrow(
      'the teacher takes 16×16 images but the model 8×8',
    )
    const other = { ...teacher.model, classNames: ['a', 'b'] }
    expect(failure({ teacher: { ...teacher, model: other } })).toThrow(
      'the teacher tells 2 classes apart but the model 3',
    )
  })
})

/**
 * What an attack that controls the training does: some images of every batch get a patch and another label, and all
 * shall be told apart with the patch, too. `strength` is fed by the hook.
 */
const patched: Objective = {
  inputs: (_, size) => ({ strength: { dtype: 'float32', shape: [size] } }),
  loss({ images, targets, inputs, labelSmoothing, forward }) {
    const { logits, buffers } = forward()
    const strength = reshape(inputs.strength!, [images!.shape[0]!, 1, 1, 1])
    const triggered = forward(max(images!, strength)).logits
    const loss = add(
      crossEntropy(logits, targets, labelSmoothing),
      mul(crossEntropy(triggered, targets), 0.5),
    )
    return { loss, logits, ...(buffers && { buffers }) }
  },
  async batch(feeds, { rng: random, indices }) {
    await new Promise(resolve => setTimeout(resolve, indices[0]! % 5))
    const labels = feeds.labels!.data.slice() as BigInt64Array
    const strength = Float32Array.from(labels, () => random.uniform())
    labels[random.int(labels.length)] = 0n
    return {
      ...feeds,
      labels: { ...feeds.labels!, data: labels },
      strength: { dtype: 'float32', shape: [labels.length], data: strength },
    }
  },
}

const hex = (tensors: Weights) =>
  Object.entries(tensors).map(([name, values]) => [
    name,
    Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex'),
  ])

describe('a training with an objective of its own', () => {
  const combined: Objective = {
    ...distillation({ teacher, temperature: 2, weight: 0.5 }),
    batch: (feeds, context) => {
      const images = feeds.images!.data as Uint8Array
      for (let i = 0; i < images.length; i += 5) images[i] = context.rng.int(256)
      return feeds
    },
  }

  it.each<[string, Objective, Model, Partial<TrainingConfig>?]>([
    ['a second term on images with a trigger', patched, tinyResNet()],
    ['the same in micro-batches', patched, model, { microBatches: 2 }],
    ['distillation of images that a hook changes', combined, model],
  ])('interrupted and resumed ends in the same bits (%s)', async (_, objective, model, changes = {}) => {
    const from = initialWeights(model, rng(1, 'init'))
    const options = { runtime, model, data, config: { ...config, ...changes }, objective, seed: 3 }
    const uninterrupted = await train({ ...options, from })
    const abort = new AbortController()
    let saved: TrainingState | undefined
    const interrupted = train({
      ...options,
      from,
      signal: abort.signal,
      onStep: ({ step }) => step === 3 && abort.abort(new Error('stopped by hand')),
      onCheckpoint: async state => {
        saved = state
      },
    })
    await expect(interrupted).rejects.toThrow('stopped by hand')
    expect(hex(await train({ ...options, from: saved! }))).toEqual(hex(uninterrupted))
    expect(hex(await train({ ...options, objective: crossEntropyObjective(), from }))).not.toEqual(
      hex(uninterrupted),
    )
  })

  it('hands out what the objective delivers, and which images it is of', async () => {
    const seen: { event: StepEvent; details: StepDetails }[] = []
    const contexts: BatchContext[] = []
    const fed: Tensor[] = []
    const objective: Objective = {
      ...crossEntropyObjective({ losses: true }),
      batch(feeds, context) {
        contexts.push(context)
        fed.push({ ...feeds.labels!, data: feeds.labels!.data.slice() })
        return feeds
      },
    }
    const onStep = (event: StepEvent, details: StepDetails) => seen.push({ event, details })
    await train({ runtime, model, data, from: weights, config, objective, seed: 3, onStep })
    expect(contexts.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    seen.forEach(({ event, details }, i) => {
      const losses = Array.from(details.delivered.losses!.data, Number)
      close([event.loss], [mean(losses)])
      expect(Object.keys(details.delivered)).toEqual(['losses'])
      expect(details.indices).toEqual(contexts[i]!.indices)
      expect(Array.from(fed[i]!.data, Number)).toEqual(
        Array.from(details.indices, index => data.labels[index]),
      )
    })
    // Every image once an epoch: the training says how well each is learned.
    const epoch = seen.slice(0, 5).flatMap(({ details }) => [...details.indices])
    expect(epoch.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i))
  })

  it('ends with the error of its hook', async () => {
    const objective: Objective = {
      ...crossEntropyObjective(),
      batch(feeds, { step }) {
        if (step === 3) throw new InputError('no trigger for step 3')
        return feeds
      },
    }
    const steps: number[] = []
    const training = train({
      runtime,
      model,
      data,
      from: weights,
      config,
      objective,
      seed: 3,
      onStep: ({ step }) => steps.push(step),
    })
    await expect(training).rejects.toThrow(new InputError('no trigger for step 3'))
    expect(steps).toEqual([1, 2])
  })
})
