import {
  type BatchInput,
  buildTrainStep,
  cast,
  correctCount,
  type Device,
  div,
  freeze,
  InputError,
  layerwiseRates,
  type ParameterSpec,
  type TrainStep,
  type Value,
} from 'onnxgrad'
import type { ImageSize } from '../images/image-source.js'
import { mixes } from '../images/mix.js'
import { blockInputShape } from '../models/block-input.js'
import type { Model } from '../models/model.js'
import { frozenPrefix } from './frozen-prefix.js'
import { crossEntropyObjective, type Objective } from './objective.js'
import { optimizerOf, type TrainingConfig } from './training-config.js'

export interface TrainingStepOptions {
  /** What the step will run on. Default 'cpu'. */
  readonly device?: Device
  /** What it minimizes. Default: cross-entropy. */
  readonly objective?: Objective
  /**
   * Begins at this block: `hidden`, what goes into it, is fed in place of `images`, and what lies before it is left
   * out. At most what `frozenPrefix` says. Default: begins with the images.
   */
  readonly startAt?: number
}

/**
 * The training step's graph: a uint8 batch and its labels (or soft targets, if images are mixed) in; loss, number of
 * right predictions and what the objective delivers out.
 *
 * @throws InputError if the configuration's parameter groups do not fit the model, or what lies before `startAt` is
 * trained or differs from step to step.
 */
export function trainingStep(
  model: Model,
  config: TrainingConfig,
  data: ImageSize,
  { device = 'cpu', objective = crossEntropyObjective(), startAt }: TrainingStepOptions = {},
): TrainStep {
  const { batchSize, labelSmoothing } = config
  if (startAt !== undefined && startAt > (frozenPrefix(model, config) ?? -1))
    throw new InputError(
      `a training cannot start at block ${startAt}: freeze all that lies before it, and set crop, mixup, cutmix and stochasticDepth to 0 and flip to false`,
    )
  const declared = objective.inputs?.(model, batchSize) ?? {}
  const inputs: Record<string, BatchInput> = {
    images: { dtype: 'uint8', shape: [batchSize, 3, data.height, data.width] },
    ...(mixes(config)
      ? { targets: { dtype: 'float32', shape: [batchSize, model.classNames.length] } }
      : { labels: { dtype: 'int64', shape: [batchSize] } }),
    ...(startAt !== undefined && {
      hidden: { dtype: 'float32', shape: [batchSize, ...blockInputShape(model, startAt)] },
    }),
    ...(config.stochasticDepth > 0 && {
      branchScale: { dtype: 'float32', shape: [model.branches, batchSize], axis: 1 },
    }),
    ...declared,
  }
  const parameters = parametersOf(model, config)
  return buildTrainStep({
    parameters,
    inputs,
    optimizer: optimizerOf(config),
    microBatches: config.microBatches,
    device,
    ...(config.recompute && { recompute: model.blocks }),
    ...(config.clipNorm !== null && { clipNorm: config.clipNorm }),
    ...(config.ema > 0 && { ema: config.ema }),
    forward(graph, values, fed) {
      const { images, branchScale } = fed
      const pixels = div(cast(images!, 'float32'), 255)
      const targets = (fed.targets ?? fed.labels)!
      // What goes into the block is replaced by what is fed, once the graph is whole.
      const instead = new Map<Value, Value>()
      const found = objective.loss({
        graph,
        model,
        images: startAt === undefined ? pixels : null,
        targets,
        labelSmoothing,
        inputs: Object.fromEntries(Object.keys(declared).map((name): [string, Value] => [name, fed[name]!])),
        forward(seen = pixels) {
          const result = model.forward(values, seen, {
            ...(branchScale && { branchScale }),
            training: true,
            frozen: name => parameters[name]!.frozen === true,
          })
          if (startAt !== undefined && seen === pixels) instead.set(result.hidden[startAt]!, fed.hidden!)
          return result
        },
      })
      const { loss, logits, buffers = {} } = found
      return { loss, deliver: { correct: correctCount(logits, targets), ...found.deliver }, buffers, instead }
    },
  })
}

/**
 * A model's parameters with their rates, and with those frozen that the configuration freezes.
 * @throws InputError if a name fits none, or they have no layers
 */
export function parametersOf(
  model: Model,
  { layerDecay, frozen }: Pick<TrainingConfig, 'layerDecay' | 'frozen'>,
): Record<string, ParameterSpec> {
  const rated = layerDecay === 1 ? model.parameters : layerwiseRates(model.parameters, layerDecay)
  return freeze(rated, frozen)
}
