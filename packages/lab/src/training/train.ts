import {
  type BatchInput,
  buildTrainStep,
  cast,
  correctCount,
  crossEntropy,
  type Device,
  div,
  freeze,
  InputError,
  layerwiseRates,
  type ParameterSpec,
  type Runtime,
  type Tensor,
} from 'onnxgrad'
import type { ImageSize, ImageSource } from '../images/image-source.js'
import { mixes } from '../images/mix.js'
import type { Model, Weights } from '../models/model.js'
import { batcher } from './batches.js'
import { learningRate } from './learning-rate.js'
import { optimizerOf, type TrainingConfig } from './training-config.js'

/** All that a training needs to go on: parameters and every memory by name, and how many steps were done. */
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
  /** Share of the (augmented) batch that was called right; of a mixed image, what it shows most of. */
  readonly accuracy: number
  readonly learningRate: number
  /** Norm of all gradients before clipping; of those that the optimizer is given, if it is SAM. */
  readonly gradientNorm: number
}

export interface TrainOptions {
  readonly runtime: Runtime
  readonly model: Model
  /** Weights to start from, or the state to go on from. */
  readonly from: Weights | TrainingState
  readonly data: ImageSource
  readonly config: TrainingConfig
  /** Decides the order of images, augmentation and dropped branches; a resumed training repeats them exactly. */
  readonly seed: number
  readonly onStep?: (event: StepEvent) => void
  /** Called with the weights (their averages, if they are kept) after every full epoch and after the last step. */
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
 * @returns the last weights, or their averages if the configuration keeps them.
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

  const step = trainingStep(model, config, data, await runtime.device())
  const resumed = isState(options.from) ? options.from : null
  const rate = learningRate(config, { perEpoch, total }, resumed?.tensors)
  const session = await runtime.load(step.model, {
    state: step.state,
    initialState: resumed?.tensors ?? step.initialState(options.from as Weights),
  })
  const batches = batcher(data, config, seed, perEpoch, model.branches)
  const readWeights = async (): Promise<Weights> => step.result(await session.readState(step.resultState))
  const checkpoint = async (done: number) =>
    options.onCheckpoint?.({ step: done, tensors: { ...(await session.readState()), ...rate.tensors() } })
  try {
    for (let i = resumed?.step ?? 0; i < total; i++) {
      if (signal?.aborted) {
        await checkpoint(i)
        signal.throwIfAborted()
      }
      if (options.wantsCheckpoint?.()) await checkpoint(i)
      const now = rate.at(i)
      const out = await session.run({ ...(await batches(i)), ...step.scalars(i + 1, now) })
      const scalar = (name: string) => Number(out[name]!.data[0])
      const loss = scalar('loss')
      if (!Number.isFinite(loss)) {
        throw new InputError(
          `the loss became ${loss} at step ${i + 1} of ${total}: lower learningRate (${config.learningRate}) or set clipNorm`,
        )
      }
      rate.observe(i, loss)
      options.onStep?.({
        step: i + 1,
        steps: total,
        epoch: (i + 1) / perEpoch,
        loss,
        accuracy: scalar('correct') / config.batchSize,
        learningRate: now,
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
export function assertFits(model: Model, data: ImageSource): void {
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

/**
 * The training step's graph: a uint8 batch and its labels (or soft targets, if images are mixed) in, loss and
 * number of right calls out.
 *
 * @throws InputError if the configuration's parameter groups do not fit the model.
 */
export function trainingStep(model: Model, config: TrainingConfig, data: ImageSize, device: Device = 'cpu') {
  const { batchSize, layerDecay, frozen } = config
  const rated = layerDecay === 1 ? model.parameters : layerwiseRates(model.parameters, layerDecay)
  const inputs: Record<string, BatchInput> = {
    images: { dtype: 'uint8', shape: [batchSize, 3, data.height, data.width] },
    ...(mixes(config)
      ? { targets: { dtype: 'float32', shape: [batchSize, model.classNames.length] } }
      : { labels: { dtype: 'int64', shape: [batchSize] } }),
    ...(config.stochasticDepth > 0 && {
      branchScale: { dtype: 'float32', shape: [model.branches, batchSize], axis: 1 },
    }),
  }
  const parameters: Record<string, ParameterSpec> = freeze(rated, frozen)
  return buildTrainStep({
    parameters,
    inputs,
    optimizer: optimizerOf(config),
    microBatches: config.microBatches,
    device,
    ...(config.recompute && { recompute: model.blocks }),
    ...(config.clipNorm !== null && { clipNorm: config.clipNorm }),
    ...(config.ema > 0 && { ema: config.ema }),
    forward(_, values, { images, labels, targets, branchScale }) {
      const pixels = div(cast(images!, 'float32'), 255)
      const { logits, buffers = {} } = model.forward(values, pixels, {
        ...(branchScale && { branchScale }),
        training: true,
        frozen: name => parameters[name]!.frozen === true,
      })
      const wanted = (targets ?? labels)!
      return {
        loss: crossEntropy(logits, wanted, config.labelSmoothing),
        deliver: { correct: correctCount(logits, wanted) },
        buffers,
      }
    },
  })
}
