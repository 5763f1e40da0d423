import { z } from 'zod'
import { cct } from './cct.js'
import type { ModelFamily } from './define-family.js'
import { deit } from './deit.js'
import type { Model, Task } from './model.js'
import { vit } from './vit.js'

/** Every family, by its `model_type`. */
export const families = { vit, cct, deit } as const

/** A family's `model_type` with its keys beside it; a ViT if it has none. */
export const modelConfig = z.discriminatedUnion('model_type', [
  strict(vit.config).extend({ model_type: z.literal('vit').default('vit') }),
  strict(cct.config).extend({ model_type: z.literal('cct') }),
  strict(deit.config).extend({ model_type: z.literal('deit') }),
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
