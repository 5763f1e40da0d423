import { type Checkpoint, type FitOptions, fit } from '@ageb/lab'
import type { Monitor } from './monitor.js'

/** A checkpoint made to fit the data that it is to be fine-tuned on, saying what was changed. */
export function fitted(
  monitor: Monitor,
  name: string,
  checkpoint: Checkpoint,
  options: FitOptions,
): Checkpoint {
  const result = fit(checkpoint, options)
  const [before, after] = [checkpoint.model, result.model]
  if (JSON.stringify(after.classNames) !== JSON.stringify(before.classNames)) {
    const had =
      before.classNames.length > 0 ? `tells ${before.classNames.length} other classes apart` : 'has no head'
    monitor.say(`${name} ${had}: it gets a new head for the ${after.classNames.length} classes of the data`)
  }
  if (after.imageSize !== before.imageSize)
    monitor.say(`${name} is fitted from image size ${before.imageSize} to ${after.imageSize}`)
  return result
}
