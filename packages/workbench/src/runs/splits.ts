import { holdOut, type ImageSource } from '@ageb/lab'
import { loadImages } from './load-images.js'
import type { Monitor } from './monitor.js'

/** What decides which images a run trains on and is evaluated on. */
export interface SplitsConfig {
  readonly dataset: string
  /** Training images to hold out and evaluate on in place of the test split. */
  readonly heldOut: number
  readonly seed: number
}

/**
 * The training set, and what is evaluated on: the test split, or held-out training images.
 * @param size side of the images in pixels
 */
export async function splitsOf(
  { dataset, heldOut, seed }: SplitsConfig,
  size: number,
  monitor: Monitor,
): Promise<{ train: ImageSource; test: ImageSource }> {
  const load = (split: string) => loadImages(monitor, { dataset, split, size })
  const train = await load('train')
  if (heldOut === 0) return { train, test: await load('test') }
  const { rest, held } = holdOut(train, heldOut, seed)
  return { train: rest, test: held }
}
