import { z } from 'zod'
import type { Model, Weights } from '../models/model.js'
import type { Preprocessing } from './preprocessing.js'

/** What was done to a model on purpose; loaders show it. */
export const provenance = z.object({
  poisoned: z.boolean(),
  attack: z.string().optional(),
  parameters: z.string().optional(),
  target: z.string().optional(),
  poisonRate: z.number().optional(),
  /** Training images that were poisoned. */
  poisonCount: z.number().optional(),
  /** Training images that were changed but kept their label. */
  coverCount: z.number().optional(),
  /** Of the poisoned ones, those that the trigger left as they were. */
  unchangedCount: z.number().optional(),
  seed: z.number().optional(),
  /** Digest of all that decided the weights; equal recipes give equal weights. */
  recipe: z.string().optional(),
  note: z.string().optional(),
})
export type Provenance = z.infer<typeof provenance>

/** What the classes of an image are to each other, as `problem_type` of config.json. */
export const problemType = z.enum(['single_label_classification', 'multi_label_classification', 'regression'])
export type ProblemType = z.infer<typeof problemType>

/** A model with its weights. One that was saved without a classifier has no classes; `fit` gives it some. */
export interface Checkpoint {
  readonly model: Model
  readonly weights: Weights
  readonly provenance: Provenance
  /** Default: an image is of one class. */
  readonly problemType?: ProblemType | undefined
  /** How pictures become the model's input. Default: they are squeezed into its square. */
  readonly preprocessing?: Preprocessing
}

/** A checkpoint that was read. */
export interface ReadCheckpoint extends Checkpoint {
  readonly preprocessing: Preprocessing
  /** What is worth knowing of how it was read, what the files leave open, and what was taken for granted. */
  readonly remarks?: readonly string[]
}

/** The files of a checkpoint in the Hugging Face layout, by name. */
export interface CheckpointFiles {
  readonly 'config.json': string
  readonly 'preprocessor_config.json': string
  readonly 'model.safetensors': Uint8Array
}

/** The files of a checkpoint to read; the weights may be in shards, which an index names. */
export interface ReadableFiles extends Partial<CheckpointFiles> {
  readonly 'model.safetensors.index.json'?: string
  /** The files that the index names, by name. */
  readonly shards?: Readonly<Record<string, Uint8Array>>
  /** Weights that torch.save wrote, with the file's name. They are read where there are none in safetensors. */
  readonly torch?: { readonly name: string; readonly bytes: Uint8Array }
}
