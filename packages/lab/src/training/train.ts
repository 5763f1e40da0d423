import { InputError, type Runtime, sameShape, type Tensor } from 'onnxgrad'
import type { ImageSource } from '../images/image-source.js'
import { batchesAhead, readAhead } from '../images/read-ahead.js'
import { blockInputShape } from '../models/block-input.js'
import type { Model, Weights } from '../models/model.js'
import { assertSteps, type Batch, batchBytes, batcher, type FrozenPrefix, stepsOf } from './batches.js'
import { learningRate } from './learning-rate.js'
import { crossEntropyObjective, type Objective } from './objective.js'
import { stepCalls, stepsPerCall } from './step-calls.js'
import type { TrainingConfig } from './training-config.js'
import { trainingStep } from './training-step.js'

/** All that is needed to resume a training: parameters and optimizer memory by name, and how many steps were done. */
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
  /** Share of the (augmented) batch that was predicted right; of a mixed image, the class that it shows most of counts. */
  readonly accuracy: number
  readonly learningRate: number
  /** Norm of all gradients before clipping; of those that the optimizer is given, if it is SAM. */
  readonly gradientNorm: number
}

export interface TrainOptions {
  readonly runtime: Runtime
  readonly model: Model
  /** Weights to start from, or the state to resume from. */
  readonly from: Weights | TrainingState
  readonly data: ImageSource
  readonly config: TrainingConfig
  /** What is minimized. Default: cross-entropy. */
  readonly objective?: Objective
  /** Starts every step at a block, from what goes into it (see `frozenPrefix`); `data` says the labels. */
  readonly prefix?: FrozenPrefix
  /**
   * The most steps that are made in one call of the session, in the same bits. A checkpoint, the end of an epoch and a stop
   * fall between two calls. Default: what suits the device, see `stepsPerCall`.
   */
  readonly stepsPerCall?: number
  /** Decides the order of images, augmentation and dropped branches; a resumed training repeats them exactly. */
  readonly seed: number
  readonly onStep?: (event: StepEvent, details: StepDetails) => void
  /** Called with the weights (their averages, if they are kept) after every full epoch and after the last step. */
  readonly onEpoch?: (epoch: number, weights: Weights) => Promise<void>
  /**
   * Called before every call of the session. Where it says yes, the state as it is then is handed to `onCheckpoint` once
   * the call is over: the session needs it no more, so nothing waits for a copy.
   */
  readonly wantsCheckpoint?: () => boolean
  /** Called before the steps that follow the state are told; also when the training is stopped by `signal`. */
  readonly onCheckpoint?: (state: TrainingState) => Promise<void>
  /** Stops after the call under way, with a checkpoint, and throws `signal.reason`. */
  readonly signal?: AbortSignal
}

/** What else can be told of a step. */
export interface StepDetails {
  /** From asking for the batch to having the loss; of steps that were made in one call, each one's share. */
  readonly seconds: number
  /** Of these, how long the step waited for its batch: what reading and augmenting ahead did not hide. */
  readonly dataWaitSeconds: number
  /** Which images of the data the batch was made of, in the order of its examples. */
  readonly indices: Int32Array
  /** What the objective delivers, by name. */
  readonly delivered: Readonly<Record<string, Tensor>>
}

/**
 * Trains a classifier. The result depends on the data, the configuration, the objective, the seed, the device and the
 * runtime's thread count alone, whether or not the training was interrupted.
 *
 * @returns the last weights, or their averages if the configuration keeps them.
 * @throws InputError if the data do not fit the model or the loss is no longer finite.
 */
export async function train(options: TrainOptions): Promise<Weights> {
  const { runtime, model, data, config, seed, signal, prefix, objective = crossEntropyObjective() } = options
  assertFits(model, data)
  if (prefix) assertPrefixFits(prefix, model, data)
  assertSteps(data.count, config)
  const { perEpoch, total } = stepsOf(data.count, config)
  const device = await runtime.device()
  const step = trainingStep(model, config, data, {
    device,
    objective,
    ...(prefix && { startAt: prefix.block }),
  })
  const resumed = isState(options.from) ? options.from : null
  const rate = learningRate(config, { perEpoch, total }, resumed?.tensors)
  const fed = { data, config, seed, branches: model.branches, objective, ...(prefix && { prefix }) }
  const bytes = batchBytes(fed)
  const perCall = options.stepsPerCall ?? stepsPerCall(device, bytes)
  const calls = stepCalls(step, perCall)
  const session = await runtime.load(calls.model, {
    state: step.state,
    initialState: resumed?.tensors ?? step.initialState(options.from as Weights),
  })
  const begin = resumed?.step ?? 0
  const batches = readAhead(batcher(fed), begin, total, Math.max(perCall, batchesAhead(bytes)))
  const readWeights = async (): Promise<Weights> => step.result(await session.readState(step.resultState))
  const checkpoint = async (step: number, state: Readonly<Record<string, Tensor>>) =>
    options.onCheckpoint?.({ step, tensors: { ...state, ...rate.tensors() } })
  try {
    for (let i = begin; i < total; ) {
      if (signal?.aborted) {
        if (options.onCheckpoint) await checkpoint(i, await session.readState())
        signal.throwIfAborted()
      }
      const wanted = (options.onCheckpoint && options.wantsCheckpoint?.()) === true
      // Of one epoch only: at its end the weights are asked for, and the learning rate may change by the losses.
      const count = Math.min(perCall, perEpoch - (i % perEpoch), total - i)
      const asked = performance.now()
      const taken: Batch[] = []
      while (taken.length < count) taken.push(await batches.next())
      const waited = performance.now() - asked
      const rates = taken.map((_, k) => rate.at(i + k))
      const steps = taken.map((batch, k) => ({ batch, scalars: step.scalars(i + k + 1, rates[k]!) }))
      const running = calls.run(session, steps, wanted)
      // Only now: making a batch takes this thread's time, which the step must not wait for.
      batches.refill()
      const { delivered: results, before } = await running
      const seconds = (performance.now() - asked) / 1000 / count
      if (before) await checkpoint(i, before)
      for (const [k, { loss: lossTensor, correct, gradientNorm, ...delivered }] of results.entries()) {
        const loss = scalar(lossTensor)
        if (!Number.isFinite(loss)) {
          throw new InputError(
            `the loss became ${loss} at step ${i + 1} of ${total}: lower learningRate (${config.learningRate}) or set clipNorm`,
          )
        }
        rate.observe(i, loss)
        i++
        options.onStep?.(
          {
            step: i,
            steps: total,
            epoch: i / perEpoch,
            loss,
            accuracy: scalar(correct) / config.batchSize,
            learningRate: rates[k]!,
            gradientNorm: scalar(gradientNorm),
          },
          { seconds, dataWaitSeconds: waited / 1000 / count, indices: taken[k]!.indices, delivered },
        )
      }
      const ended = i % perEpoch === 0 || i === total
      if (ended && options.onEpoch) await options.onEpoch(i / perEpoch, await readWeights())
    }
    return await readWeights()
  } finally {
    await batches.end()
    await session.release()
  }
}

function scalar(tensor: Tensor | undefined): number {
  return Number(tensor!.data[0])
}

function isState(from: Weights | TrainingState): from is TrainingState {
  return 'tensors' in from && 'step' in from
}

function assertPrefixFits({ block, hidden }: FrozenPrefix, model: Model, data: ImageSource): void {
  const shape = blockInputShape(model, block)
  if (hidden.count === data.count && sameShape(hidden.shape, shape)) return
  throw new InputError(
    `block ${block} needs ${data.count} tensors [${shape.join(', ')}], one an image of ${data.name}, but ${hidden.count} tensors [${hidden.shape.join(', ')}] are given: compute them again`,
  )
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
