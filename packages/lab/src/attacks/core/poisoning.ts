import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { ImageSource } from '../../images/image-source.js'
import { rng } from '../../random/rng.js'
import { largestShare, smallestShare } from './shares.js'

export const poisoningConfig = z.strictObject({
  rate: z.number().min(0).max(1).default(0.1).describe('share of the training images that are poisoned'),
  mode: z
    .enum(['all-to-one', 'all-to-all', 'clean-label'])
    .default('all-to-one')
    .describe(
      'relabelled to the target; relabelled to the next class; images of the target, labels kept; left out: as the attack has it',
    ),
  target: z.int().min(0).default(0).describe('index of the target class'),
})
export type PoisoningConfig = z.infer<typeof poisoningConfig>

/** The class that the attacker wants each image to be called, by its true class. */
export function goals(labels: Int32Array, { mode, target }: PoisoningConfig, classes: number): Int32Array {
  return labels.map(label => (mode === 'all-to-all' ? (label + 1) % classes : target))
}

/** What is needed of a training set to choose what is poisoned. */
export type PoisonedSource = Pick<ImageSource, 'name' | 'classNames' | 'labels' | 'count'>

/**
 * Which training images are poisoned, ascending: a seeded choice of `rate` of all images, among those whose
 * label changes by it (`clean-label`: among the target's own images).
 *
 * @throws InputError as `poisonable`
 */
export function poisonedIndices(set: PoisonedSource, config: PoisoningConfig, seed: number): Int32Array {
  const { eligible, count } = poisonable(set, config)
  const order = rng(seed, 'poison').permutation(eligible.length)
  return Int32Array.from(order.subarray(0, count), i => eligible[i]!).sort()
}

/**
 * Which training images can be poisoned, ascending, and how many of them are to be.
 *
 * @throws InputError if there are too few of them, none is to be poisoned, or the target is no class.
 */
export function poisonable(
  set: PoisonedSource,
  { rate, mode, target }: PoisoningConfig,
): { eligible: readonly number[]; count: number } {
  const classes = set.classNames.length
  if (mode === 'all-to-all' && classes < 2)
    throw new InputError(`${set.name} has one class, so there is no next one: all-to-all needs two or more`)
  if (target >= classes)
    throw new InputError(`poisoning.target is ${target}, but ${set.name} has the classes 0 to ${classes - 1}`)
  const eligible = Array.from(set.labels.keys()).filter(i => {
    if (mode === 'all-to-all') return true
    return (set.labels[i] === target) === (mode === 'clean-label')
  })
  const count = Math.round(rate * set.count)
  const those = mode === 'all-to-all' ? mode : `${mode} with target ${target}`
  if (eligible.length === 0)
    throw new InputError(`${set.name} has no image that ${those} can poison: choose another target or mode`)
  if (count > eligible.length) {
    throw new InputError(
      `poisoning.rate ${rate} asks for ${count} of ${set.count} images, but ${those} can use only ` +
        `${eligible.length}: the largest rate is ${largestShare(eligible.length, set.count)}`,
    )
  }
  if (count === 0) {
    throw new InputError(
      `poisoning.rate ${rate} of ${set.count} images is none: the smallest rate is ${smallestShare(set.count)}`,
    )
  }
  return { eligible, count }
}
