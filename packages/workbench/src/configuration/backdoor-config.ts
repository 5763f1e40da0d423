import { attackConfig, poisoningConfig, trainingConfig } from '@ageb/lab'
import { z } from 'zod'
import { common } from './train-config.js'

/** Configuration of a backdoor experiment, for `ageb run` and `ageb demo`. */
export const backdoorRunConfig = z.strictObject({
  kind: z.literal('backdoor'),
  ...common,
  surrogate: z
    .string()
    .default('vit-cifar10')
    .describe(
      'checkpoint with which triggers are computed: a folder, an ONNX file, a bundled name or owner/name on the hub',
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
      'number of training images that are held out and used for evaluation instead of the test split, to choose parameters',
    ),
  cleanTwin: z
    .string()
    .optional()
    .describe(
      'clean-model of an earlier run with the same victim, data, training settings, seed, device and threads; it is used instead of fine-tuning the clean twin again',
    ),
})
export type BackdoorRunConfig = z.infer<typeof backdoorRunConfig>
