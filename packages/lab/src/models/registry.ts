import { z } from 'zod'
import { cct } from './cct.js'
import { convnext } from './convnext.js'
import type { ModelFamily } from './define-family.js'
import { deit } from './deit.js'
import { dinov2, dinov2WithRegisters } from './dinov2.js'
import type { Model, Task } from './model.js'
import { preactResNet } from './preact-resnet.js'
import { resnet } from './resnet.js'
import { swin } from './swin.js'
import { timmViT } from './timm-vit.js'
import { vit } from './vit.js'

/** Every family, by its `model_type`. */
export const families = {
  vit,
  deit,
  dinov2,
  dinov2_with_registers: dinov2WithRegisters,
  timm_vit: timmViT,
  swin,
  cct,
  resnet,
  preact_resnet: preactResNet,
  convnext,
} as const

/** A family's `model_type` with its keys beside it; a ViT if it has none. */
export const modelConfig = z.discriminatedUnion('model_type', [
  strict(vit.config).extend({ model_type: z.literal('vit').default('vit') }),
  strict(cct.config).extend({ model_type: z.literal('cct') }),
  strict(deit.config).extend({ model_type: z.literal('deit') }),
  strict(dinov2.config).extend({ model_type: z.literal('dinov2') }),
  strict(dinov2WithRegisters.config).extend({ model_type: z.literal('dinov2_with_registers') }),
  strict(timmViT.config).extend({ model_type: z.literal('timm_vit') }),
  strict(resnet.config).extend({ model_type: z.literal('resnet') }),
  strict(preactResNet.config).extend({ model_type: z.literal('preact_resnet') }),
  strict(swin.config).extend({ model_type: z.literal('swin') }),
  strict(convnext.config).extend({ model_type: z.literal('convnext') }),
])
export type ModelConfig = z.infer<typeof modelConfig>

/** Builds the model that a configuration describes. Throws RangeError if its sizes do not go together. */
export function buildModel(config: ModelConfig, task: Task): Model {
  // Each member of the union is what the family of its model_type takes.
  const family: ModelFamily = families[config.model_type]
  return family.build(family.config.parse(config), task)
}

function strict<S extends z.ZodRawShape>({ shape }: z.ZodObject<S>) {
  return z.strictObject(shape)
}
