import { holdOut, type ImageSource } from '@ageb/lab'
import type { BackdoorRunConfig } from '../configuration/backdoor-config.js'

/** The training set, and what is evaluated on: the test split, or held-out training images. */
export async function splitsOf(
  config: Pick<BackdoorRunConfig, 'heldOut' | 'seed'>,
  load: (split: string) => Promise<ImageSource>,
) {
  const train = await load('train')
  if (config.heldOut === 0) return { train, test: await load('test') }
  const { rest, held } = holdOut(train, config.heldOut, config.seed)
  return { train: rest, test: held }
}
