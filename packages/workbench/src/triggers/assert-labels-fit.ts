import { type ImageProgram, type Model, needsOf } from '@ageb/lab'
import { InputError } from 'onnxgrad'

/**
 * That a trigger which takes the true labels of images can be computed: the surrogate must number the classes as they do.
 *
 * @param surrogate if the attack has one
 * @param classNames of the images, by label
 * @throws InputError if the surrogate's classes are others, or in another order
 */
export function assertLabelsFit(
  program: ImageProgram,
  surrogate: Pick<Model, 'classNames'> | undefined,
  classNames: readonly string[],
): void {
  if (!surrogate || !needsOf(program).labels) return
  const longer = Math.max(classNames.length, surrogate.classNames.length)
  const at = Array.from({ length: longer }, (_, i) => i).find(i => classNames[i] !== surrogate.classNames[i])
  if (at === undefined) return
  const nameIn = (names: readonly string[]) => (at < names.length ? `'${names[at]}'` : 'missing')
  throw new InputError(
    `the trigger takes the true labels of the images, but class ${at} is ${nameIn(classNames)} in the data and ` +
      `${nameIn(surrogate.classNames)} in the surrogate: set attack.label=prediction, or take a surrogate with the classes of the data`,
  )
}
