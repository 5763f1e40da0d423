import { z } from 'zod'
import { defineFamily } from './define-family.js'
import { dinov2Parts } from './dinov2.js'
import { encoderKeys } from './encoder.js'
import type { Task } from './model.js'
import { imageSide } from './patches.js'
import { buildTokenViT } from './token-vit.js'

const positive = z.int().positive()
const tokens = z.int().min(0).max(1000)

/** A ViT with the options that timm's `VisionTransformer` has; without them it would be a `vit`. */
export const timmViTConfig = z.object({
  image_size: imageSide.default(224),
  patch_size: positive.default(16).describe('side of a patch, pixels'),
  num_channels: z.literal(3).default(3),
  ...encoderKeys,
  layer_norm_eps: encoderKeys.layer_norm_eps.default(1e-6),
  use_swiglu_ffn: z.boolean().default(false).describe('SwiGLU in place of the MLP'),
  layerscale_value: z.number().nullable().default(null).describe('first value of layer scale; null: none'),
  class_token: z.boolean().default(true),
  num_register_tokens: tokens.default(0).describe('tokens that stand for no patch'),
  positioned_tokens: tokens
    .default(1)
    .describe('how many of the class token and the registers have a position embedding'),
  pooling: z
    .enum(['class', 'mean', 'mean_then_norm'])
    .default('class')
    .describe(
      'what the head reads: the class token, the mean of the normalized patches, or their mean, normalized',
    ),
})
export type TimmViTConfig = z.infer<typeof timmViTConfig>

/**
 * The ViTs of timm that Hugging Face has no class for: with layer scale, as DeiT-III (Touvron et al. 2022), registers,
 * or average pooling. Names of parameters are those of DINOv2.
 */
export const timmViT = defineFamily({
  modelType: 'timm_vit',
  architectures: ['TimmViTForImageClassification'],
  notInTransformers: () => "timm's ViTs with layer scale, registers or average pooling",
  citation: 'Touvron et al. 2022; Darcet et al. 2024',
  url: 'https://arxiv.org/abs/2204.07118',
  config: timmViTConfig,
  build: buildTimmViT,
})

function buildTimmViT(config: TimmViTConfig, task: Task) {
  const { class_token, num_register_tokens, positioned_tokens, pooling, layerscale_value } = config
  const leading = (class_token ? 1 : 0) + num_register_tokens
  if (positioned_tokens > leading)
    throw new RangeError(
      `positioned_tokens ${positioned_tokens} are more than the ${leading} tokens there are`,
    )
  if (pooling === 'class' && !class_token) throw new RangeError("pooling 'class' needs class_token true")
  return buildTokenViT(
    {
      modelType: 'timm_vit',
      config,
      imageSize: config.image_size,
      patchSize: config.patch_size,
      encoder: config,
      parts: dinov2Parts(config.use_swiglu_ffn, layerscale_value !== null),
      layerScale: layerscale_value ?? 1,
      classToken: class_token,
      registers: num_register_tokens,
      positioned: positioned_tokens,
      antialias: false,
      pooling,
    },
    task,
  )
}
