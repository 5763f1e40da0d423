import { adamW, type Optimizer, sam, sgd } from 'onnxgrad'
import { z } from 'zod'

const share = z.number().min(0).max(1)

/** How a model is trained. Every key can be set in a configuration file or with `--set`. */
export const trainingConfig = z
  .strictObject({
    epochs: z.number().positive().default(10).describe('passes over the training images; may be a fraction'),
    batchSize: z.int().positive().default(128).describe('images a step'),
    microBatches: z
      .int()
      .positive()
      .default(1)
      .describe(
        'parts of a batch that are worked off one after the other, for less memory; must divide it; ' +
          'batch normalizations see each part by itself',
      ),
    recompute: z
      .boolean()
      .default(false)
      .describe(
        "compute each block's activations again in the backward pass: less memory, about a third more work",
      ),
    optimizer: z.enum(['adamw', 'sgd']).default('adamw'),
    learningRate: z.number().positive().default(1e-3).describe('highest rate of the schedule'),
    schedule: z
      .enum(['cosine', 'linear', 'step', 'plateau', 'constant'])
      .default('cosine')
      .describe('course of the rate after the warm-up; plateau goes by the mean training loss of an epoch'),
    warmupEpochs: z.number().min(0).default(1).describe('epochs of linear warm-up before the schedule'),
    floor: share.default(0).describe('lowest rate of the schedule, as a share of the highest'),
    dropEpochs: z
      .number()
      .positive()
      .default(3)
      .describe(
        'for step: epochs from drop to drop; for plateau: epochs without a better loss to put up with',
      ),
    dropFactor: share.default(0.1).describe('for step and plateau: what a drop leaves of the rate'),
    layerDecay: z
      .number()
      .positive()
      .max(1)
      .default(1)
      .describe('what each layer towards the input has of the rate of the next one; 1: all have the same'),
    frozen: z
      .array(z.string())
      .default([])
      .describe(
        'parameters that stay as they are, by name or by what their names begin with: vit.embeddings; ' +
          'a batch normalization whose running statistics are among them goes by these',
      ),
    weightDecay: z.number().min(0).default(0.05).describe('decoupled, on matrices and kernels only'),
    momentum: share.default(0.9).describe('for sgd'),
    betas: z.tuple([share, share]).default([0.9, 0.999]).describe('for adamw'),
    sam: z
      .number()
      .min(0)
      .default(0)
      .describe('radius of sharpness-aware minimization, about 0.05; doubles the work of a step; 0: off'),
    samAdaptive: z
      .boolean()
      .default(false)
      .describe("measure that radius by each parameter's size (ASAM); it is then about 0.5"),
    ema: share
      .lt(1)
      .default(0)
      .describe('decay of a moving average of the weights, which is then the result: 0.999; 0: off'),
    clipNorm: z
      .number()
      .positive()
      .nullable()
      .default(1)
      .describe('largest norm of all gradients; null: no clipping'),
    labelSmoothing: share.default(0.1).describe('share of the target spread over all classes'),
    stochasticDepth: share
      .default(0)
      .describe('chance to drop the last residual branch; earlier ones linearly less'),
    crop: z.int().min(0).default(4).describe('random crop: zero padding on each side, pixels'),
    flip: z.boolean().default(true).describe('mirror half of the images'),
    mixup: z
      .number()
      .min(0)
      .default(0)
      .describe('blend pairs of images, the share drawn from Beta(mixup, mixup); 0: off'),
    cutmix: z
      .number()
      .min(0)
      .default(0)
      .describe('paste a box of another image, its share drawn from Beta(cutmix, cutmix); 0: off'),
  })
  .superRefine(({ batchSize, microBatches, sam, samAdaptive }, context) => {
    const refuse = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message })
    if (batchSize % microBatches !== 0)
      refuse(
        'microBatches',
        `${microBatches} does not divide the batchSize of ${batchSize}: choose a divisor`,
      )
    if (samAdaptive && sam === 0) refuse('samAdaptive', 'there is no SAM to adapt: set sam above 0')
  })
export type TrainingConfig = z.infer<typeof trainingConfig>

export function optimizerOf(config: TrainingConfig): Optimizer {
  const { weightDecay } = config
  const base =
    config.optimizer === 'adamw'
      ? adamW({ betas: config.betas, weightDecay })
      : sgd({ momentum: config.momentum, weightDecay })
  return config.sam > 0 ? sam(base, { rho: config.sam, adaptive: config.samAdaptive }) : base
}
