import { adamW, type Optimizer, sgd } from 'onnxgrad'
import { z } from 'zod'

const share = z.number().min(0).max(1)

/** How a model is trained. Every key can be set in a configuration file or with `--set`. */
export const trainingConfig = z.strictObject({
  epochs: z.number().positive().default(10).describe('passes over the training images; may be a fraction'),
  batchSize: z.int().positive().default(128),
  optimizer: z.enum(['adamw', 'sgd']).default('adamw'),
  learningRate: z.number().positive().default(1e-3).describe('highest rate of the schedule'),
  warmupEpochs: z.number().min(0).default(1).describe('epochs of linear warm-up before the cosine'),
  floor: share.default(0).describe('rate at the end, as a share of the highest'),
  weightDecay: z.number().min(0).default(0.05).describe('decoupled, on matrices and kernels only'),
  momentum: share.default(0.9).describe('for sgd'),
  betas: z.tuple([share, share]).default([0.9, 0.999]).describe('for adamw'),
  clipNorm: z
    .number()
    .positive()
    .nullable()
    .default(1)
    .describe('largest norm of all gradients; null: no clipping'),
  labelSmoothing: share.default(0.1),
  stochasticDepth: share
    .default(0)
    .describe('chance to drop the last residual branch; earlier ones linearly less'),
  crop: z.int().min(0).default(4).describe('random crop: zero padding on each side, pixels'),
  flip: z.boolean().default(true).describe('mirror half of the images'),
})
export type TrainingConfig = z.infer<typeof trainingConfig>

export function optimizerOf(config: TrainingConfig): Optimizer {
  const { weightDecay } = config
  return config.optimizer === 'adamw'
    ? adamW({ betas: config.betas, weightDecay })
    : sgd({ momentum: config.momentum, weightDecay })
}
