import type { Checkpoint, ImageSize } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { openCheckpoint } from '../checkpoints/open-checkpoint.js'
import type { AttackSettings } from '../configuration/attack-settings.js'
import type { Monitor } from '../runs/monitor.js'

/** What a trigger outside a run is made with, and for which images. */
export interface TriggerSubject {
  /** Size of the images. */
  readonly size: ImageSize
  readonly classes: number
  readonly surrogate: Checkpoint
}

/**
 * Opens the surrogate of an attack, and finds the size of the images that the trigger is for: as in a run, that of the
 * victim.
 *
 * @param side of the images, pixels, in place of the victim's: the victim is then not looked at
 * @throws InputError if a checkpoint is amiss
 */
export async function triggerSubject(
  { settings }: AttackSettings,
  side: number | undefined,
  monitor: Monitor,
): Promise<TriggerSubject> {
  const surrogate = await openCheckpoint(settings.surrogate, monitor)
  const { model } =
    side !== undefined || settings.victim === settings.surrogate
      ? surrogate
      : await victimOf(settings.victim, monitor)
  const length = side ?? model.imageSize
  return { size: { height: length, width: length }, classes: surrogate.model.classNames.length, surrogate }
}

async function victimOf(victim: string, monitor: Monitor): Promise<Checkpoint> {
  try {
    return await openCheckpoint(victim, monitor, { withoutClassifier: true })
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    throw new InputError(
      `the trigger is for images of the victim's size, but the victim cannot be read: ${error.message}; or give the size with --size`,
      { cause: error },
    )
  }
}
