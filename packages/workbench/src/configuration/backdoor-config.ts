import { type Attack, attackConfigWith, expandPoisoning, poisoningConfig, trainingConfig } from '@ageb/lab'
import { z } from 'zod'
import { pluginsConfig } from '../plugins/plugin.js'
import { common } from './train-config.js'

/**
 * Configuration of a backdoor experiment, where plugins bring attacks beside the program's own. Keys that are not given
 * take their values from the attack's preset and from what its paper says about the poisoning.
 */
export function backdoorRunConfigWith(attacks: readonly Attack[]) {
  return z.preprocess(
    config => expandPoisoning(config, attacks),
    z.strictObject({
      kind: z.literal('backdoor'),
      ...common,
      plugins: pluginsConfig.optional(),
      surrogate: z
        .string()
        .default('vit-cifar10')
        .describe(
          'checkpoint with which triggers are computed, of any image size and classes: a folder, an ONNX file, a bundled name or owner/name on the hub',
        ),
      victim: z
        .string()
        .default('vit-cifar10')
        .describe(
          'checkpoint that is fine-tuned: a folder, an ONNX file, a bundled name or owner/name on the hub',
        ),
      attack: attackConfigWith(attacks).prefault({}),
      poisoning: poisoningConfig.prefault({}),
      training: trainingConfig.prefault({}),
      heldOut: z
        .int()
        .min(0)
        .default(0)
        .describe(
          'number of training images that are held out and used for evaluation instead of the test split, to choose parameters',
        ),
    }),
  )
}

/** Configuration of a backdoor experiment with the program's own attacks: `ageb run` and `ageb demo`. */
export const backdoorRunConfig = backdoorRunConfigWith([])
export type BackdoorRunConfig = z.infer<typeof backdoorRunConfig>
