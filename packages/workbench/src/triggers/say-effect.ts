import type { Effect } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import type { Monitor } from '../runs/monitor.js'

/** Says it if a trigger leaves some images as they were. @param images what they are, such as `poisoned images` */
export function sayEffect({ count, unchanged }: Effect, images: string, monitor: Monitor): void {
  if (unchanged > 0) monitor.say(`${unchanged} of ${count} ${images} are unchanged by the trigger`)
}

/**
 * Refuses a trigger without any effect, to be checked before anything is trained.
 * @throws InputError if every image is as it was
 */
export function assertEffect({ count, unchanged }: Effect, images: string): void {
  if (unchanged < count) return
  throw new InputError(
    `the trigger changes none of the ${count} ${images}, so there would be nothing to learn or to measure: ` +
      "set the attack's parameters so that it changes images",
  )
}
