import { z } from 'zod'
import { mean, modelNote, pluginNote, recordFile, recordHead } from './record-parts.js'

/** Images that got the trigger, and how many of them it left as they were. */
const effect = z.object({ count: z.int(), unchanged: z.int() })

/**
 * What a backdoor experiment leaves: everything that its tables and its report are made of, together with the files
 * that it names. It holds what the configuration decides and nothing else (no times, no paths), so that equal
 * experiments leave equal bytes; times and machines lie beside it in `timing.json`.
 */
export const backdoorRecord = z.object({
  ...recordHead,
  kind: z.literal('backdoor'),
  models: z.object({
    surrogate: modelNote
      .extend({
        /** Kernel by which images were resized to its size within the trigger, where theirs is another. */
        resampling: z.string().optional(),
      })
      .nullable(),
    victim: modelNote,
  }),
  attack: z.object({
    name: z.string(),
    citation: z.string(),
    url: z.string(),
    version: z.int(),
    access: z.enum(['data', 'training']),
    /** The module that brought the attack, where it is none of the program's own. */
    plugin: pluginNote.optional(),
    parameters: z.record(z.string(), z.json()),
  }),
  poisoning: z.object({
    mode: z.enum(['all-to-one', 'all-to-all', 'clean-label']),
    /** Index of the target class. */
    target: z.int(),
    /** What the attack wants, in words: a class's name, or `the next class`. */
    goal: z.string(),
    /** Share of the training images that was asked for. */
    rate: z.number(),
    /** Images poisoned, and images that only cover the trigger: changed, their labels kept. */
    count: z.int(),
    cover: z.int(),
  }),
  stealth: z.object({ psnr: mean, ssim: mean, linf: mean, meanAbs: mean }),
  /**
   * On how many images the trigger had an effect: of the poisoned ones, and of the test images that count for the attack.
   * Left out in records of older versions.
   */
  effects: z.object({ poison: effect, test: effect }).optional(),
  /** One row a test image: label, goal, role, and what both models predict. */
  predictions: recordFile,
  /** One row a training image that was changed: index, role, label before and after. */
  poison: recordFile,
  /** The steps of both trainings. */
  training: z.object({ clean: recordFile, poisoned: recordFile }),
  /** Some test images on their way through the trigger. */
  gallery: z.array(
    z.object({
      /** The image's place in the test split. */
      index: z.int(),
      pictures: z.array(z.object({ name: z.string(), file: recordFile })),
    }),
  ),
})
export type BackdoorRecord = z.infer<typeof backdoorRecord>
