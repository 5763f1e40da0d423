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
    .describe(
      'checkpoint that triggers are computed with: a folder, an ONNX file, a bundled name or owner/name on the hub',
    ),
  victim: z
    .string()
    .default('vit-cifar10')
    .describe('checkpoint that is fine-tuned: a folder, a bundled name or owner/name on the hub'),
  attack: attackConfig.prefault({ name: 'ageb' }),
  poisoning: poisoningConfig.prefault({}),
  training: trainingConfig.prefault({}),
  heldOut: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'training images to hold out and evaluate on in place of the test split, to choose parameters with',
    ),
})
export type BackdoorRunConfig = z.infer<typeof backdoorRunConfig>
