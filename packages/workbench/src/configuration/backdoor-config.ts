import { attackConfig, expandPoisoning, poisoningConfig, trainingConfig } from '@ageb/lab'
import { z } from 'zod'
import { common } from './train-config.js'

const spelledOut = z.strictObject({
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
  attack: attackConfig.prefault({}),
  poisoning: poisoningConfig.prefault({}),
  training: trainingConfig.prefault({}),
  heldOut: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'number of training images that are held out and used for evaluation instead of the test split, to choose parameters',
    ),
})

/**
 * Configuration of a backdoor experiment, for `ageb run` and `ageb demo`. Keys that are not given take their values from
 * the attack's preset and from what its paper says about the poisoning.
 */
export const backdoorRunConfig = z.preprocess(config => expandPoisoning(config), spelledOut)
export type BackdoorRunConfig = z.infer<typeof backdoorRunConfig>
