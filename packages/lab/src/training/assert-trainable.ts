import { Graph, GraphError, InputError } from 'onnxgrad'
import { exportWithFreeBatch } from '../checkpoints/export-hint.js'
import type { ImageSource } from '../images/image-source.js'
import type { Model } from '../models/model.js'
import { assertSteps } from './batches.js'
import { assertFits } from './train.js'
import type { TrainingConfig } from './training-config.js'
import { parametersOf, trainingStep } from './training-step.js'

/**
 * That a training can be begun, without beginning it: to be checked before the work that comes before it, such as an hour
 * of triggers.
 *
 * @throws InputError naming the key if the data do not fit the model, there is no whole batch, or the configuration asks
 * for what the model does not have
 */
export function assertTrainable(model: Model, config: TrainingConfig, data: ImageSource): void {
  assertFits(model, data)
  assertSteps(data.count, config)
  const side = Math.min(data.height, data.width)
  if (config.crop >= side) {
    throw new InputError(
      `training.crop ${config.crop} would move images of ${data.width}×${data.height} out of sight: choose less than ${side}`,
    )
  }
  if (config.stochasticDepth > 0 && model.branches === 0)
    throw new InputError(
      `training.stochasticDepth: this ${model.modelType} model has no branches to drop: set it to 0`,
    )
  if (config.recompute && model.blocks.length === 0)
    throw new InputError(
      `training.recompute: this ${model.modelType} model does not tell its blocks apart: set it to false`,
    )
  assertBatch(model, config)
  const parameters = parametersOf(model, config)
  if (Object.values(parameters).every(({ frozen, buffer }) => frozen || buffer))
    throw new InputError('training.frozen covers every parameter: leave one free to train')
  if (model.file) assertStepBuilds(model, config, data)
  else assertForwardBuilds(model, config, data)
}

/** A file of another program may take a number of images that cannot be chosen. */
function assertBatch({ fixedBatch }: Model, { batchSize, microBatches }: TrainingConfig): void {
  if (fixedBatch === undefined || batchSize === microBatches * fixedBatch) return
  throw new InputError(
    `the model takes exactly ${fixedBatch} image${fixedBatch > 1 ? 's' : ''} a run: set training.microBatches to ` +
      `${batchSize / fixedBatch}, which is slow, or ${exportWithFreeBatch}`,
  )
}

/** A part of a batch can be too small: for batch normalization, for one. */
function assertForwardBuilds(
  model: Model,
  { batchSize, microBatches }: TrainingConfig,
  data: ImageSource,
): void {
  const graph = new Graph()
  const parameters = Object.entries(model.parameters).map(([name, { shape }]) => [
    name,
    graph.input(name, 'float32', shape),
  ])
  const batch = batchSize / microBatches
  const pixels = graph.input('pixels', 'float32', [batch, 3, data.height, data.width])
  model.forward(Object.fromEntries(parameters), pixels, { training: true })
}

/** Families are known to be trainable; of what another program wrote, the whole step is built. */
function assertStepBuilds(model: Model, config: TrainingConfig, data: ImageSource): void {
  try {
    trainingStep(model, config, data)
  } catch (error) {
    if (!(error instanceof GraphError)) throw error
    throw new InputError(`this ONNX file cannot be fine-tuned: ${error.message}`, { cause: error })
  }
}
