import { InputError } from 'onnxgrad'
import { rng } from '../random/rng.js'
import type { ImageSource } from './image-source.js'
import { subsetOf } from './views.js'

/**
 * Holds out a seeded choice of n images of a training set, to choose parameters on without looking at the test split.
 * Both parts keep the set's order.
 *
 * @throws InputError if nothing would be left to train on.
 */
export function holdOut(set: ImageSource, n: number, seed: number): { rest: ImageSource; held: ImageSource } {
  if (n >= set.count)
    throw new InputError(`heldOut is ${n}, but ${set.name} has only ${set.count} training images: lower it`)
  const order = rng(seed, 'hold-out').permutation(set.count)
  return {
    held: subsetOf(set, order.slice(0, n).sort(), 'held-out'),
    rest: subsetOf(set, order.slice(n).sort()),
  }
}
