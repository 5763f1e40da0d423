import { goals, type ImageSource, type PoisoningConfig } from '@ageb/lab'
import { InputError } from 'onnxgrad'

/**
 * Checks that the success of an attack can be measured on a split: the true class of at least one image is not yet the
 * attack's goal. To be checked before anything is trained.
 *
 * @throws InputError if there is none
 */
export function assertAttackable(test: ImageSource, poisoning: PoisoningConfig): void {
  const wanted = goals(test.labels, poisoning, test.classNames.length)
  if (test.labels.some((label, i) => label !== wanted[i])) return
  throw new InputError(
    `${test.name}: all ${test.count} images of the split '${test.split}' are of the class that the attack aims at ` +
      `(${test.classNames[wanted[0]!]}), so its success cannot be measured: set another poisoning.target, or give a split with ` +
      'other classes.',
  )
}
