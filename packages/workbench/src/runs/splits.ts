import { holdOut, type ImageSource } from '@ageb/lab'
import type { BackdoorRunConfig } from '../configuration/backdoor-config.js'
import { type DatasetOptions, openSplit, openSplits } from '../data/dataset.js'

/** The training set, and what is evaluated on: the test split, or held-out training images. Throws InputError. */
export async function splitsOf(
  { dataset, columns, heldOut, seed }: Pick<BackdoorRunConfig, 'dataset' | 'columns' | 'heldOut' | 'seed'>,
  options: Pick<DatasetOptions, 'size' | 'monitor' | 'signal'>,
): Promise<{ train: ImageSource; test: ImageSource }> {
  const data = { ...options, dataset, columns }
  if (heldOut === 0) {
    const [train, test] = await openSplits({ ...data, splits: ['train', 'test'] })
    return { train, test }
  }
  const { rest, held } = holdOut(await openSplit({ ...data, split: 'train' }), heldOut, seed)
  return { train: rest, test: held }
}
