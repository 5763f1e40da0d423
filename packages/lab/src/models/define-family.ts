import type { Shape } from 'onnxgrad'
import type { z } from 'zod'
import type { Model, Task } from './model.js'

/** A family of image classifiers: a declared configuration, and how it is built. */
export interface ModelFamily<S extends z.ZodObject = z.ZodObject> {
  /** Hugging Face's `model_type`, or where there is none there a name of this project. */
  readonly modelType: string
  /** Classes of `transformers` whose checkpoints it reads; what is saved names the first, if the model names none. */
  readonly architectures: readonly [string, ...string[]]
  readonly citation: string
  readonly url: string
  /** Keys and meanings as in Hugging Face's configuration of that `model_type`. */
  readonly config: S
  /**
   * What keys mean that a checkpoint's configuration lacks: the defaults of `transformers` where those of `config`
   * are others.
   */
  readonly absentKeys?: Partial<z.input<S>>
  /**
   * Whether it takes images of any size, so that not the checkpoint's configuration but its preprocessor says how
   * large they are. Default: false.
   */
  readonly anyImageSize?: boolean
  /**
   * Whether `transformers` interpolates position embeddings to the images that come, so that a checkpoint's
   * preprocessor says how large they are, and its configuration how large they were in training. Default: false.
   */
  readonly interpolates?: boolean
  /**
   * Tensors that the class of `transformers` has and no classifier reads, with their shapes. They are written as
   * zeros, so that it finds every key. Default: none.
   */
  readonly idleTensors?: (config: z.infer<S>) => Readonly<Record<string, Shape>>
  /** What `transformers` has no class for; undefined, as by default, if it can read such a model. */
  readonly notInTransformers?: (config: z.infer<S>) => string | undefined
  /** @throws RangeError if sizes do not go together, naming the keys. */
  build(config: z.infer<S>, task: Task): Model
}

/** Declares a family. */
export function defineFamily<S extends z.ZodObject>(family: ModelFamily<S>): ModelFamily<S> {
  return family
}
