import { attackConfig, poisoningConfig, trainingConfig } from '@ageb/lab'
import { z } from 'zod'
import { common } from './train-config.js'

/** Configuration of a backdoor experiment: `ageb run` and `ageb demo`. */
export const backdoorRunConfig = z.strictObject({
  kind: z.literal('backdoor'),
  ...common,
  surrogate: z
    .string()
    .default('vit-cifar10')
    .describe('checkpoint that triggers are computed with: a folder or a bundled name'),
  victim: z
    .string()
    .default('vit-cifar10')
    .describe('checkpoint that is fine-tuned: a folder or a bundled name'),
  attack: attackConfig.prefault({ name: 'ageb' }),
  poisoning: poisoningConfig.prefault({}),
  training: trainingConfig.prefault({}),
})
export type BackdoorRunConfig = z.infer<typeof backdoorRunConfig>
