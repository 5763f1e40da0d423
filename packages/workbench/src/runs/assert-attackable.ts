import { goals, type ImageSource, type PoisoningConfig } from '@ageb/lab'
import { InputError } from 'onnxgrad'

/**
 * That the success of an attack can be measured on a split: at least one image is of another class than the attacker
 * wants it to be called. To be asked before anything is trained.
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
