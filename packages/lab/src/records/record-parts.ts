import { z } from 'zod'

export const digest = z.string().regex(/^[0-9a-f]{64}$/)
export const mean = z.object({ value: z.number(), n: z.int(), low: z.number(), high: z.number() })
/** A file beside the record; its digest notices damage. */
export const recordFile = z.object({ name: z.string().regex(/^[\w-]+(\/[\w-]+)?\.\w+$/), sha256: digest })

export const modelNote = z.object({
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

/** Code of the user's own that a result depends on. */
export const pluginNote = z.strictObject({
  /** The file's name without its folder, or the package. */
  name: z.string(),
  /** Of its files. */
  digest,
})
export type PluginNote = z.infer<typeof pluginNote>

const split = z.object({ split: z.string(), count: z.int(), id: digest })

const data = z.object({
  name: z.string(),
  /** Commit on the hub, where it came from there. */
  commit: z.string().optional(),
  classNames: z.array(z.string()),
  train: split,
  test: split,
  /** What a reader must know to compare: lossy images, another split than the official one. */
  notes: z.array(z.string()),
})

/** What every record has. It holds no times and no paths, so that equal runs leave equal records. */
export const recordHead = {
  format: z.literal(1),
  /** The configuration, every default filled in. */
  configuration: z.object({ seed: z.int(), dataset: z.string() }).catchall(z.json()),
  /** What decides the last bits besides the configuration. */
  environment: z.object({ ageb: z.string(), onnxruntime: z.string(), device: z.string(), threads: z.int() }),
  data,
}

/** What a stage took in a run; not part of the record, which holds no times. */
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
