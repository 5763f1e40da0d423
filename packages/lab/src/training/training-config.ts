import { adamW, type Optimizer, sam, sgd } from 'onnxgrad'
import { z } from 'zod'

const share = z.number().min(0).max(1)

/** How a model is trained. Every key can be set in a configuration file or with `--set`. */
export const trainingConfig = z
  .strictObject({
    epochs: z
      .number()
      .positive()
      .default(10)
      .describe('passes over the training images; may be a fraction, such as 0.5'),
    batchSize: z.int().positive().default(128).describe('images per step'),
    microBatches: z
      .int()
      .positive()
      .default(1)
      .describe(
        'equal parts of a batch, run sequentially to save memory; must divide batchSize; ' +
          'batch normalization sees each part separately',
      ),
    recompute: z
      .boolean()
      .default(false)
      .describe(
        "recompute each block's activations in the backward pass: less memory, about a third more work",
      ),
    optimizer: z.enum(['adamw', 'sgd']).default('adamw'),
    learningRate: z.number().positive().default(1e-3).describe('highest learning rate of the schedule'),
    schedule: z
      .enum(['cosine', 'linear', 'step', 'plateau', 'constant'])
      .default('cosine')
      .describe(
        'how the learning rate changes after the warm-up; plateau looks at the mean training loss of each epoch',
      ),
    warmupEpochs: z.number().min(0).default(1).describe('epochs of linear warm-up before the schedule'),
    floor: share.default(0).describe('lowest learning rate of the schedule, as a share of the highest'),
    dropEpochs: z
      .number()
      .positive()
      .default(3)
      .describe('for step: epochs between two drops; for plateau: epochs without a lower loss before a drop'),
    dropFactor: share
      .default(0.1)
      .describe('for step and plateau: each drop multiplies the learning rate by this'),
    layerDecay: z
      .number()
      .positive()
      .max(1)
      .default(1)
      .describe(
        'learning rate of each layer as a share of the rate of the next layer towards the output; 1: all are equal',
      ),
    frozen: z
      .array(z.string())
      .default([])
      .describe(
        'parameters to freeze, by name or by the leading parts of their names: vit.embeddings; ' +
          'a batch normalization with frozen running statistics uses these',
      ),
    weightDecay: z
      .number()
      .min(0)
      .default(0.05)
      .describe('decoupled weight decay, on matrices and convolution kernels only'),
    momentum: share.default(0.9).describe('momentum of sgd'),
    betas: z.tuple([share, share]).default([0.9, 0.999]).describe('decay rates of the two moments of adamw'),
    sam: z
      .number()
      .min(0)
      .default(0)
      .describe(
        'radius of sharpness-aware minimization (SAM), about 0.05; doubles the work of a step; 0: off',
      ),
    samAdaptive: z
      .boolean()
      .default(false)
      .describe("scale the radius of SAM by each parameter's size (ASAM); use a radius of about 0.5"),
    ema: share
      .lt(1)
      .default(0)
      .describe(
        'decay of an exponential moving average of the weights, such as 0.999; the average is the result; 0: off',
      ),
    clipNorm: z
      .number()
      .positive()
      .nullable()
      .default(1)
      .describe('gradients are scaled down to at most this norm, taken over all of them; null: no clipping'),
    labelSmoothing: share
      .default(0.1)
      .describe('share of each target that is spread evenly over all classes'),
    stochasticDepth: share
      .default(0)
      .describe(
        'probability of dropping the last residual branch; linearly smaller for earlier ones; 0: off',
      ),
    crop: z
      .int()
      .min(0)
      .default(4)
      .describe('random crop: zero padding on each side before cropping, in pixels; 0: off'),
    flip: z.boolean().default(true).describe('mirror each image left to right with probability 0.5'),
    mixup: z
      .number()
      .min(0)
      .default(0)
      .describe('blend pairs of images, in shares drawn from Beta(mixup, mixup); 0: off'),
    cutmix: z
      .number()
      .min(0)
      .default(0)
      .describe(
        'paste a box from another image; the share of the box is drawn from Beta(cutmix, cutmix); 0: off',
      ),
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
