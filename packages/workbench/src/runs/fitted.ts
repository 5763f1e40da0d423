import { type Checkpoint, type FitOptions, fit } from '@ageb/lab'
import type { Monitor } from './monitor.js'

/** Fits a checkpoint to the data that it will be fine-tuned on, and says what was changed. */
export function fitted(
  monitor: Monitor,
  name: string,
  checkpoint: Checkpoint,
  options: FitOptions,
): Checkpoint {
  const result = fit(checkpoint, options)
  const [before, after] = [checkpoint.model, result.model]
  if (JSON.stringify(after.classNames) !== JSON.stringify(before.classNames)) {
    const had = before.classNames.length > 0 ? `has ${before.classNames.length} other classes` : 'has no head'
    monitor.say(`${name} ${had}: it gets a new head for the ${after.classNames.length} classes of the data`)
  }
  if (after.imageSize !== before.imageSize)
    monitor.say(`${name} is fitted from image size ${before.imageSize} to ${after.imageSize}`)
  return result
}
