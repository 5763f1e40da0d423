import { type Attack, attackConfigWith, expandPoisoning, poisoningConfig, trainingConfig } from '@ageb/lab'
import { z } from 'zod'
import { pluginsConfig } from '../plugins/plugin.js'
import { common } from './train-config.js'

/**
 * Configuration of a backdoor experiment, where plugins bring attacks beside the program's own. What the attack's preset
 * and paper say of attack and poisoning holds where no key says otherwise.
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
          'checkpoint that triggers are computed with: a folder, an ONNX file, a bundled name or owner/name on the hub',
        ),
      victim: z
        .string()
        .default('vit-cifar10')
        .describe('checkpoint that is fine-tuned: a folder, a bundled name or owner/name on the hub'),
      attack: attackConfigWith(attacks).prefault({}),
      poisoning: poisoningConfig.prefault({}),
      training: trainingConfig.prefault({}),
      heldOut: z
        .int()
        .min(0)
        .default(0)
        .describe(
          'training images to hold out and evaluate on in place of the test split, to choose parameters with',
        ),
    }),
  )
}

/** Configuration of a backdoor experiment with the program's own attacks: `ageb run` and `ageb demo`. */
export const backdoorRunConfig = backdoorRunConfigWith([])
export type BackdoorRunConfig = z.infer<typeof backdoorRunConfig>
