import { InputError } from 'onnxgrad'
import { subset } from '../attacks/core/poisoning.js'
import { rng } from '../random/rng.js'
import type { ImageSet } from './image-set.js'

/**
 * Parts a seeded choice of n images from a training set, to choose parameters on without looking at the test
 * split. Both parts keep the set's order.
 *
 * @throws InputError if nothing would be left to train on.
 */
export function holdOut(set: ImageSet, n: number, seed: number): { rest: ImageSet; held: ImageSet } {
  if (n >= set.count)
    throw new InputError(`heldOut is ${n}, but ${set.name} has only ${set.count} training images: lower it`)
  const order = rng(seed, 'hold-out').permutation(set.count)
  return {
    held: { ...subset(set, order.slice(0, n).sort()), split: 'held-out' },
    rest: subset(set, order.slice(n).sort()),
  }
}
