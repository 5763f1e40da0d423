import type { ModelConfig } from '@ageb/lab'
import { modelConfig } from '@ageb/lab'

/**
 * Shapes of checkpoints on the hub, as their config.json says, so that a run can be planned before anything is
 * fetched.
 */
export const publishedModels: Readonly<Record<string, ModelConfig>> = {
  'google/vit-base-patch16-224-in21k': vit('vit', 768, 12),
  'google/vit-base-patch16-224': vit('vit', 768, 12),
  'facebook/deit-base-patch16-224': vit('vit', 768, 12),
  'facebook/deit-small-patch16-224': vit('vit', 384, 6),
  'facebook/deit-tiny-patch16-224': vit('vit', 192, 3),
  'microsoft/swin-tiny-patch4-window7-224': modelConfig.parse({
    model_type: 'swin',
    image_size: 224,
    patch_size: 4,
    embed_dim: 96,
    depths: [2, 2, 6, 2],
    num_heads: [3, 6, 12, 24],
    window_size: 7,
  }),
}

/** Sizes of the published splits, as their pages on the hub say. */
export const publishedData: Readonly<Record<string, DataShape>> = {
  'uoft-cs/cifar10': { train: 50_000, test: 10_000, classes: 10 },
  'uoft-cs/cifar100': { train: 50_000, test: 10_000, classes: 100 },
  'zh-plus/tiny-imagenet': { train: 100_000, test: 10_000, classes: 200 },
}

/** How many images a data set has, and of how many classes. */
export interface DataShape {
  readonly train: number
  readonly test: number
  readonly classes: number
}

/** A plain transformer of twelve blocks for 224 pixels. */
function vit(model_type: 'vit', hidden_size: number, num_attention_heads: number): ModelConfig {
  return modelConfig.parse({
    model_type,
    image_size: 224,
    patch_size: 16,
    hidden_size,
    num_hidden_layers: 12,
    num_attention_heads,
    intermediate_size: 4 * hidden_size,
  })
}
