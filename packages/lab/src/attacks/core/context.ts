import { InputError, type Runtime } from 'onnxgrad'
import type { ImageSize } from '../../images/image-source.js'
import { inputSizeOf, type Surrogate } from './surrogate.js'

/** What a trigger may depend on beside its parameters. */
export interface TriggerContext extends ImageSize {
  /** Decides everything that is drawn at random; draw from `rng(seed, '<attack>', …)`. */
  readonly seed: number
  /** Number of classes. */
  readonly classes: number
  /** Given to attacks that need it; takes images of the context's size, whatever its model takes. */
  readonly surrogate?: Surrogate
}

/** What `prepare` may depend on, and what it may run models with. */
export interface PrepareContext extends TriggerContext {
  readonly runtime: Runtime
}

/**
 * The surrogate of a context.
 * @throws InputError if there is none, or it takes images of another size.
 */
export function surrogateIn({ surrogate, height, width }: TriggerContext): Surrogate {
  if (!surrogate) throw new InputError('this attack computes its trigger with a surrogate: name a checkpoint')
  const takes = inputSizeOf(surrogate)
  if (height !== takes.height || width !== takes.width) {
    throw new InputError(
      `the surrogate takes ${takes.width}×${takes.height} images, but these are ${width}×${height}: make it for that size`,
    )
  }
  return surrogate
}
