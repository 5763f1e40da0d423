import { z } from 'zod'

const digest = z.string().regex(/^[0-9a-f]{64}$/)
const mean = z.object({ value: z.number(), n: z.int(), low: z.number(), high: z.number() })
/** A file beside the record; its digest notices damage. */
const file = z.object({ name: z.string().regex(/^[\w-]+(\/[\w-]+)?\.\w+$/), sha256: digest })

const model = z.object({
  /** As the configuration names it. */
  name: z.string(),
  modelType: z.string(),
  imageSize: z.int(),
  /** Of its weights and what they are weights of. */
  digest,
  /** Commit on the hub, where it came from there. */
  commit: z.string().optional(),
  /** What the checkpoint said of itself. */
  poisoned: z.boolean(),
})

const split = z.object({ split: z.string(), count: z.int(), id: digest })

/**
 * What a backdoor experiment leaves: everything that its tables and its report are made of, together with the files
 * that it names. It holds what the configuration decides and nothing else (no times, no paths), so that equal
 * experiments leave equal bytes; times and machines lie beside it in `timing.json`.
 */
export const backdoorRecord = z.object({
  format: z.literal(1),
  kind: z.literal('backdoor'),
  /** The configuration, every default filled in. */
  configuration: z.record(z.string(), z.json()),
  /** What decides the last bits besides the configuration. */
  environment: z.object({ ageb: z.string(), onnxruntime: z.string(), device: z.string(), threads: z.int() }),
  data: z.object({
    name: z.string(),
    classNames: z.array(z.string()),
    train: split,
    test: split,
    /** What a reader must know to compare: lossy images, another split than the official one. */
    notes: z.array(z.string()),
  }),
  models: z.object({ surrogate: model.nullable(), victim: model }),
  attack: z.object({
    name: z.string(),
    citation: z.string(),
    url: z.string(),
    version: z.int(),
    access: z.enum(['data', 'training']),
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
  /** One row a test image: label, goal, role, and what both models predict. */
  predictions: file,
  /** One row a training image that was changed: index, role, label before and after. */
  poison: file,
  /** The steps of both trainings. */
  training: z.object({ clean: file, poisoned: file }),
  /** Some test images on their way through the trigger. */
  gallery: z.array(
    z.object({
      /** The image's place in the test split. */
      index: z.int(),
      pictures: z.array(z.object({ name: z.string(), file })),
    }),
  ),
})
export type BackdoorRecord = z.infer<typeof backdoorRecord>

/** A record with the contents of the files that it names. */
export interface StageTime {
  /** What the stage was in the run: `clean-twin`, `victim`, … */
  readonly stage: string
  /** The key under which the store has its output. */
  readonly key: string
  /** Whether the run found it done. */
  readonly reused: boolean
  /** What the work took whoever did it. */
  readonly seconds: number
  /** The machine that did it, in plain words. */
  readonly machine: string
}
