import { z } from 'zod'
import { defineFamily } from './define-family.js'
import { type BlockParts, encoderKeys } from './encoder.js'
import type { Task } from './model.js'
import { imageSide } from './patches.js'
import { buildTokenViT } from './token-vit.js'

const positive = z.int().positive()

const keys = {
  image_size: imageSide.default(224),
  patch_size: positive.default(14).describe('side of a patch, pixels'),
  num_channels: z.literal(3).default(3),
  hidden_size: encoderKeys.hidden_size.default(768),
  num_hidden_layers: encoderKeys.num_hidden_layers.default(12),
  num_attention_heads: encoderKeys.num_attention_heads.default(12),
  mlp_ratio: positive
    .max(1000)
    .default(4)
    .describe("width of the blocks' hidden layer, in widths of a token; of SwiGLU two thirds of it"),
  hidden_act: encoderKeys.hidden_act,
  qkv_bias: encoderKeys.qkv_bias,
  layer_norm_eps: encoderKeys.layer_norm_eps.default(1e-6),
  layerscale_value: z.number().default(1).describe('first value of layer scale'),
  use_swiglu_ffn: z.boolean().default(false).describe('SwiGLU in place of the MLP'),
}

/** Shape of a DINOv2 (Oquab et al. 2024), in the keys and defaults of Hugging Face's `Dinov2Config`. */
export const dinov2Config = z.object(keys)

/** The same with registers (Darcet et al. 2024): `Dinov2WithRegistersConfig`. */
export const dinov2WithRegistersConfig = z.object({
  ...keys,
  patch_size: keys.patch_size.default(16),
  num_register_tokens: z.int().min(0).max(1000).default(4).describe('tokens that stand for no patch'),
})

/** A ViT with layer scale whose head reads the class token and the mean of the patches: `Dinov2ForImageClassification`. */
export const dinov2 = defineFamily({
  modelType: 'dinov2',
  architectures: ['Dinov2ForImageClassification'],
  citation: 'Oquab et al. 2024',
  url: 'https://arxiv.org/abs/2304.07193',
  config: dinov2Config,
  interpolates: true,
  idleTensors: ({ hidden_size }) => ({ 'dinov2.embeddings.mask_token': [1, hidden_size] }),
  build: (config, task) => build('dinov2', config, 0, task),
})

/** The same with registers: `Dinov2WithRegistersForImageClassification`. */
export const dinov2WithRegisters = defineFamily({
  modelType: 'dinov2_with_registers',
  architectures: ['Dinov2WithRegistersForImageClassification'],
  citation: 'Darcet et al. 2024',
  url: 'https://arxiv.org/abs/2309.16588',
  config: dinov2WithRegistersConfig,
  interpolates: true,
  idleTensors: ({ hidden_size }) => ({ 'dinov2_with_registers.embeddings.mask_token': [1, hidden_size] }),
  build: (config, task) => build('dinov2_with_registers', config, config.num_register_tokens, task),
})

/** The names of DINOv2's blocks. */
export function dinov2Parts(gated: boolean, scaled: boolean): BlockParts {
  return {
    norms: ['norm1', 'norm2'],
    ...(gated
      ? { wide: 'mlp.weights_in', narrow: 'mlp.weights_out', gated }
      : { wide: 'mlp.fc1', narrow: 'mlp.fc2' }),
    ...(scaled && { scales: ['layer_scale1.lambda1', 'layer_scale2.lambda1'] }),
  }
}

function build(modelType: string, config: z.infer<typeof dinov2Config>, registers: number, task: Task) {
  const { hidden_size, mlp_ratio, use_swiglu_ffn } = config
  const width = hidden_size * mlp_ratio
  // As DINOv2 has it: two thirds, rounded up to a multiple of 8.
  const gatedWidth = 8 * Math.floor((Math.trunc((width * 2) / 3) + 7) / 8)
  return buildTokenViT(
    {
      modelType,
      config,
      imageSize: config.image_size,
      patchSize: config.patch_size,
      encoder: { ...config, intermediate_size: use_swiglu_ffn ? gatedWidth : width },
      parts: dinov2Parts(use_swiglu_ffn, true),
      layerScale: config.layerscale_value,
      classToken: true,
      registers,
      positioned: 1,
      antialias: modelType === 'dinov2_with_registers',
      pooling: 'class_and_mean',
    },
    task,
  )
}
