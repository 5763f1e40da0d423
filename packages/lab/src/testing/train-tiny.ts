import type { Runtime } from 'onnxgrad'
import { initialWeights } from '../models/model.js'
import { buildModel, modelConfig } from '../models/registry.js'
import { rng } from '../random/rng.js'
import { type StepEvent, train } from '../training/train.js'
import { type TrainingConfig, trainingConfig } from '../training/training-config.js'
import { tinyImages } from './tiny.js'

/** Trains a model for 16×16 images for 20 steps, with everything that depends on its family switched on. */
export async function trainTiny(runtime: Runtime, model: object, changes: Partial<TrainingConfig> = {}) {
  const data = tinyImages(24, 1, 16)
  const built = buildModel(modelConfig.parse(model), { classNames: data.classNames })
  const config = trainingConfig.parse({
    epochs: 5,
    batchSize: 6,
    learningRate: 0.01,
    stochasticDepth: 0.1,
    layerDecay: 0.9,
    microBatches: 2,
    ...changes,
  })
  const losses: number[] = []
  const from = initialWeights(built, rng(1, 'init'))
  const onStep = ({ loss }: StepEvent) => losses.push(loss)
  const weights = await train({ runtime, model: built, from, data, config, seed: 3, onStep })
  const mean = (part: number[]) => part.reduce((sum, loss) => sum + loss, 0) / part.length
  return { from, weights, losses, first: mean(losses.slice(0, 4)), last: mean(losses.slice(-4)) }
}
