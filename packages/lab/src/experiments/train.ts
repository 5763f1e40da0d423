import {
  buildTrainStep,
  cast,
  correctCount,
  crossEntropy,
  div,
  InputError,
  type Runtime,
  type Tensor,
  warmupCosine,
} from 'onnxgrad'
import { augment } from '../image/augment.js'
import { type ImageSet, imageAt, imageSize } from '../image/image-set.js'
import type { Model, Weights } from '../models/model.js'
import { rng } from '../random/rng.js'
import { optimizerOf, type TrainingConfig } from './training-config.js'

/** All that a training needs to go on: parameters and optimizer memory by name, and how many steps were done. */
export interface TrainingState {
  readonly step: number
  readonly tensors: Readonly<Record<string, Tensor>>
}

export interface StepEvent {
  /** Steps done, from 1. */
  readonly step: number
  readonly steps: number
  /** Epochs done, a fraction. */
  readonly epoch: number
  readonly loss: number
  /** Share of the (augmented) batch that was called right. */
  readonly accuracy: number
  readonly learningRate: number
  /** Norm of all gradients before clipping. */
  readonly gradientNorm: number
}

export interface TrainOptions {
  readonly runtime: Runtime
  readonly model: Model
  /** Weights to start from, or the state to go on from. */
  readonly from: Weights | TrainingState
  readonly data: ImageSet
  readonly config: TrainingConfig
  /** Decides the order of images, augmentation and dropped branches; a resumed training repeats them exactly. */
  readonly seed: number
  readonly onStep?: (event: StepEvent) => void
  /** Called with the weights after every full epoch and after the last step. */
  readonly onEpoch?: (epoch: number, weights: Weights) => Promise<void>
  /** Called before every step; where it says yes, the state is handed to `onCheckpoint`. */
  readonly wantsCheckpoint?: () => boolean
  /** Called also when the training is stopped by `signal`. */
  readonly onCheckpoint?: (state: TrainingState) => Promise<void>
  /** Stops after the step under way, with a checkpoint, and throws `signal.reason`. */
  readonly signal?: AbortSignal
}

/** Number of optimizer steps; the last incomplete batch of an epoch is left out. */
export function stepsOf(images: number, config: TrainingConfig): { perEpoch: number; total: number } {
  const perEpoch = Math.floor(images / config.batchSize)
  return { perEpoch, total: Math.round(perEpoch * config.epochs) }
}

/**
 * Trains a classifier with cross-entropy. The result depends on the data, the configuration, the seed and the
 * runtime's thread count alone, whether or not the training was interrupted.
 *
 * @throws InputError if the data do not fit the model or the loss is no longer finite.
 */
export async function train(options: TrainOptions): Promise<Weights> {
  const { runtime, model, data, config, seed, signal } = options
  assertFits(model, data)
  const { perEpoch, total } = stepsOf(data.count, config)
  if (total < 1)
    throw new InputError(
      `${data.count} training images make no batch of ${config.batchSize}: lower batchSize or raise epochs`,
    )

  const step = trainingStep(model, config, data)
  const resumed = isState(options.from)
  const session = await runtime.load(step.model, {
    state: step.state,
    initialState: resumed
      ? (options.from as TrainingState).tensors
      : step.initialState(options.from as Weights),
  })
  const schedule = warmupCosine({
    peak: config.learningRate,
    steps: total,
    warmup: Math.min(total, Math.round(config.warmupEpochs * perEpoch)),
    floor: config.floor,
  })
  const batches = batcher(data, config, seed, perEpoch, model.branches)
  const readWeights = async (): Promise<Weights> => {
    const state = await session.readState()
    return Object.fromEntries(
      Object.keys(model.parameters).map(name => [name, state[name]!.data as Float32Array]),
    )
  }
  const checkpoint = async (done: number) =>
    options.onCheckpoint?.({ step: done, tensors: await session.readState() })
  try {
    for (let i = resumed ? (options.from as TrainingState).step : 0; i < total; i++) {
      if (signal?.aborted) {
        await checkpoint(i)
        signal.throwIfAborted()
      }
      if (options.wantsCheckpoint?.()) await checkpoint(i)
      const learningRate = schedule(i)
      const out = await session.run({ ...batches(i), ...step.scalars(i + 1, learningRate) })
      const scalar = (name: string) => Number(out[name]!.data[0])
      const loss = scalar('loss')
      if (!Number.isFinite(loss)) {
        throw new InputError(
          `the loss became ${loss} at step ${i + 1} of ${total}: lower learningRate (${config.learningRate}) or set clipNorm`,
        )
      }
      options.onStep?.({
        step: i + 1,
        steps: total,
        epoch: (i + 1) / perEpoch,
        loss,
        accuracy: scalar('correct') / config.batchSize,
        learningRate,
        gradientNorm: scalar('gradientNorm'),
      })
      const ended = (i + 1) % perEpoch === 0 || i + 1 === total
      if (ended && options.onEpoch) await options.onEpoch((i + 1) / perEpoch, await readWeights())
    }
    return await readWeights()
  } finally {
    await session.release()
  }
}

function isState(from: Weights | TrainingState): from is TrainingState {
  return 'tensors' in from && 'step' in from
}

/** @throws InputError if image size or class count differ. */
export function assertFits(model: Model, data: ImageSet): void {
  if (data.height !== model.imageSize || data.width !== model.imageSize) {
    throw new InputError(
      `${data.name} has ${data.width}×${data.height} images but the model takes ${model.imageSize}×${model.imageSize}: load the data with that size`,
    )
  }
  if (data.classNames.length !== model.classNames.length) {
    throw new InputError(
      `${data.name} has ${data.classNames.length} classes but the model tells ${model.classNames.length} apart: use a model made for this data`,
    )
  }
}

/** The training step's graph: a uint8 batch and its labels in, loss and number of right calls out. */
export function trainingStep(model: Model, config: TrainingConfig, data: Pick<ImageSet, 'height' | 'width'>) {
  const { batchSize } = config
  return buildTrainStep({
    parameters: model.parameters,
    optimizer: optimizerOf(config),
    ...(config.clipNorm !== null && { clipNorm: config.clipNorm }),
    forward(graph, parameters) {
      const images = graph.input('images', 'uint8', [batchSize, 3, data.height, data.width])
      const labels = graph.input('labels', 'int64', [batchSize])
      const branchScale =
        config.stochasticDepth > 0
          ? graph.input('branchScale', 'float32', [model.branches, batchSize])
          : undefined
      const pixels = div(cast(images, 'float32'), 255)
      const { logits } = model.forward(parameters, pixels, branchScale ? { branchScale } : {})
      return {
        loss: crossEntropy(logits, labels, config.labelSmoothing),
        deliver: { correct: correctCount(logits, labels) },
      }
    },
  })
}

/** The feeds of step i: images in the epoch's order, augmented, with their labels. */
export function batcher(
  data: ImageSet,
  config: TrainingConfig,
  seed: number,
  perEpoch: number,
  branches: number,
) {
  const { batchSize, stochasticDepth } = config
  const size = imageSize(data)
  let order: { epoch: number; indices: Int32Array } | undefined
  return (i: number): Record<string, Tensor> => {
    const epoch = Math.floor(i / perEpoch)
    if (order?.epoch !== epoch)
      order = { epoch, indices: rng(seed, 'shuffle', epoch).permutation(data.count) }
    const random = rng(seed, 'augment', i)
    const pixels = new Uint8Array(batchSize * size)
    const labels = new BigInt64Array(batchSize)
    for (let b = 0; b < batchSize; b++) {
      const index = order.indices[(i % perEpoch) * batchSize + b]!
      augment(imageAt(data, index), pixels.subarray(b * size, (b + 1) * size), data, config, random)
      labels[b] = BigInt(data.labels[index]!)
    }
    const feeds: Record<string, Tensor> = {
      images: { dtype: 'uint8', shape: [batchSize, 3, data.height, data.width], data: pixels },
      labels: { dtype: 'int64', shape: [batchSize], data: labels },
    }
    if (stochasticDepth > 0) {
      const scale = new Float32Array(branches * batchSize)
      for (let j = 0; j < scale.length; j++) {
        const drop = (stochasticDepth * (Math.floor(j / batchSize) + 1)) / branches
        scale[j] = random.uniform() < drop ? 0 : 1 / (1 - drop)
      }
      feeds.branchScale = { dtype: 'float32', shape: [branches, batchSize], data: scale }
    }
    return feeds
  }
}
