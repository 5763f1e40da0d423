import type { Runtime } from 'onnxgrad'
import type { TrainingConfig } from '../training/training-config.js'
import { trainTiny } from './train-tiny.js'

/** What a training of a model with max pooling came to. */
export interface PooledTraining {
  /** Of every step. */
  readonly losses: readonly number[]
  /** The trained weights of the convolution before the first pooling, which learns through pooling alone. */
  readonly stem: readonly number[]
  /** The largest change of one of them. */
  readonly moved: number
}

/** Plain gradient descent, whose steps are as different as the gradients are. */
const changes: Partial<TrainingConfig> = {
  epochs: 1,
  optimizer: 'sgd',
  learningRate: 0.3,
  stochasticDepth: 0,
  layerDecay: 1,
  microBatches: 1,
}

const models: Readonly<Record<string, { config: object; stem: string }>> = {
  cct: {
    stem: 'cct.tokenizer.0.weight',
    config: {
      model_type: 'cct',
      image_size: 16,
      hidden_size: 8,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      intermediate_size: 12,
      tokenizer: [4],
    },
  },
  'resnet with the imagenet stem': {
    stem: 'resnet.embedder.embedder.convolution.weight',
    config: {
      model_type: 'resnet',
      image_size: 16,
      embedding_size: 4,
      hidden_sizes: [4],
      depths: [1],
      layer_type: 'basic',
      stem: 'imagenet',
    },
  },
}

/** Trains a tiny CCT and a tiny ResNet, whose windows of pooling overlap, for four steps. */
export async function trainPooled(runtime: Runtime): Promise<Record<string, PooledTraining>> {
  const results: Record<string, PooledTraining> = {}
  for (const [name, { config, stem }] of Object.entries(models)) {
    const { from, weights, losses } = await trainTiny(runtime, config, changes)
    const trained = [...weights[stem]!]
    const moved = Math.max(...trained.map((x, i) => Math.abs(x - from[stem]![i]!)))
    results[name] = { losses, stem: trained, moved }
  }
  return results
}
