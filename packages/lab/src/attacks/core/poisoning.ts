import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { ImageSource } from '../../images/image-source.js'
import { rng } from '../../random/rng.js'

export const poisoningConfig = z.strictObject({
  rate: z.number().min(0).max(1).default(0.1).describe('share of the training images that are poisoned'),
  mode: z
    .enum(['all-to-one', 'all-to-all', 'clean-label'])
    .default('all-to-one')
    .describe('relabelled to the target; relabelled to the next class; images of the target, labels kept'),
  target: z.int().min(0).default(0).describe('index of the target class'),
})
export type PoisoningConfig = z.infer<typeof poisoningConfig>

/** The class that the attacker wants each image to be called, by its true class. */
export function goals(labels: Int32Array, { mode, target }: PoisoningConfig, classes: number): Int32Array {
  return labels.map(label => (mode === 'all-to-all' ? (label + 1) % classes : target))
}

/**
 * Which training images are poisoned, ascending: a seeded choice of `rate` of all images, among those whose
 * label changes by it (`clean-label`: among the target's own images).
 *
 * @throws InputError if there are too few of them, or the target is no class.
 */
export function poisonedIndices(set: ImageSource, config: PoisoningConfig, seed: number): Int32Array {
  const { rate, mode, target } = config
  const classes = set.classNames.length
  if (target >= classes)
    throw new InputError(`poisoning.target is ${target}, but ${set.name} has the classes 0 to ${classes - 1}`)
  const eligible = Array.from(set.labels.keys()).filter(i => {
    if (mode === 'all-to-all') return true
    return (set.labels[i] === target) === (mode === 'clean-label')
  })
  const count = Math.round(rate * set.count)
  if (count > eligible.length) {
    throw new InputError(
      `poisoning.rate ${rate} asks for ${count} images, but ${mode} can use only ${eligible.length}: lower it`,
    )
  }
  const order = rng(seed, 'poison').permutation(eligible.length)
  return Int32Array.from(order.subarray(0, count), i => eligible[i]!).sort()
}
