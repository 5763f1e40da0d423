import { rng } from '@ageb/lab'
import { InputError } from 'onnxgrad'

/**
 * A random choice of `n` images with equally many of each class (where `n` does not divide evenly, the first
 * classes have one more), in random order. The same arguments always choose the same.
 *
 * @param labels one class index an image, 0 … classes−1
 * @param classes number of classes
 * @param n how many to choose
 * @param seed any integer
 * @returns `n` distinct indices into `labels`
 * @throws InputError if a class has too few images
 */
export function balancedIndices(labels: Int32Array, classes: number, n: number, seed: number): Int32Array {
  const quota = Array.from(
    { length: classes },
    (_, label) => Math.floor(n / classes) + (label < n % classes ? 1 : 0),
  )
  const left = [...quota]
  const chosen: number[] = []
  // The order is random already, so the first of each class are a random choice of that class.
  for (const index of rng(seed, 'balanced-indices').permutation(labels.length)) {
    const label = labels[index]!
    if (!left[label]) continue
    left[label]--
    chosen.push(index)
  }
  const short = left.findIndex(missing => missing > 0)
  if (short >= 0) {
    throw new InputError(
      `Class ${short} has ${quota[short]! - left[short]!} images where a balanced choice of ${n} wants ` +
        `${quota[short]}: ` +
        'choose fewer.',
    )
  }
  return Int32Array.from(chosen)
}
