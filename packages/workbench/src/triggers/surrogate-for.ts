import { type Checkpoint, type ImageSize, type Surrogate, surrogateOf } from '@ageb/lab'
import type { Monitor } from '../runs/monitor.js'

/**
 * A checkpoint as the surrogate for images of a size. If it takes another size, this says how they are resized for it.
 * @param name the checkpoint's, for the message
 */
export function surrogateFor(
  checkpoint: Checkpoint,
  name: string,
  size: ImageSize,
  monitor: Monitor,
): Surrogate {
  const surrogate = surrogateOf(checkpoint, size)
  const { resizing } = surrogate
  if (resizing) {
    const { imageSize: side } = checkpoint.model
    const crop = checkpoint.preprocessing?.crop ? ', whole, without its crop' : ''
    monitor.say(
      `the surrogate ${name} takes ${side}×${side} images: those of ${size.width}×${size.height} are resized for it ` +
        `within the trigger (${resizing.resampling}${crop})`,
    )
  }
  return surrogate
}
