import { holdOut, type ImageSource } from '@ageb/lab'
import { inOrderOf } from '../data/class-names.js'
import { openSplit, openSplits } from '../data/dataset.js'
import type { ColumnChoice } from '../data/parquet-schema.js'
import type { Monitor } from './monitor.js'

/** What decides which images a run trains on and is evaluated on. */
export interface SplitsConfig {
  readonly dataset: string
  readonly columns?: ColumnChoice | undefined
  /** Training images to hold out and evaluate on in place of the test split. */
  readonly heldOut: number
  readonly seed: number
}

export interface SplitsOptions {
  /** Side of the images in pixels. */
  readonly size: number
  /** A model's classes: data with the same classes in another order is brought into this order. */
  readonly classNames: readonly string[]
  readonly monitor: Monitor
  readonly signal?: AbortSignal | undefined
}

/** The training set, and what is evaluated on: the test split, or held-out training images. Throws InputError. */
export async function splitsOf(
  { dataset, columns, heldOut, seed }: SplitsConfig,
  { classNames, ...options }: SplitsOptions,
): Promise<{ train: ImageSource; test: ImageSource }> {
  const data = { ...options, dataset, columns }
  if (heldOut === 0) {
    const opened = await openSplits({ ...data, splits: ['train', 'test'] })
    const [train, test] = inOrderOf(opened, classNames, options.monitor)
    return { train, test }
  }
  const [all] = inOrderOf([await openSplit({ ...data, split: 'train' })], classNames, options.monitor)
  const { rest, held } = holdOut(all, heldOut, seed)
  return { train: rest, test: held }
}
