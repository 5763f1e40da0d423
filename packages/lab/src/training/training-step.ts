import {
  type BatchInput,
  buildTrainStep,
  cast,
  correctCount,
  crossEntropy,
  type Device,
  div,
  freeze,
  layerwiseRates,
  type ParameterSpec,
} from 'onnxgrad'
import type { ImageSize } from '../images/image-source.js'
import { mixes } from '../images/mix.js'
import type { Model } from '../models/model.js'
import { optimizerOf, type TrainingConfig } from './training-config.js'

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
