import { InputError } from 'onnxgrad'
import type { ImageSource } from '../../images/image-source.js'
import { overlaid, subsetOf } from '../../images/views.js'
import { rng } from '../../random/rng.js'
import type { TriggerContext } from './context.js'
import type { ImageProgram } from './image-program.js'
import { goals, type PoisoningConfig, poisonedIndices } from './poisoning.js'

/** What poison is made of. */
export interface PoisonContext extends TriggerContext {
  readonly train: ImageSource
  readonly poisoning: PoisoningConfig
  /** Runs a program, with noise by the context's seed, over all images of a source; where their pixels lie is the caller's affair. */
  render(program: ImageProgram, images: ImageSource): Promise<ImageSource>
}

/** One training image that is not as it was. */
export interface PoisonItem {
  readonly index: number
  /** `cover`: changed but with its own label, so that the trigger itself is learned and not that there is some change. */
  readonly role: 'poison' | 'cover'
  readonly label: number
}

/** Which training images are changed, in what role, with which label and pixels. */
export interface PoisonPlan {
  /** By ascending index, each once. */
  readonly items: readonly PoisonItem[]
  /** The items' pixels, in their order. */
  readonly pixels: ImageSource
}

/** A training set with poison in it. */
export function poisonedSet(train: ImageSource, { items, pixels }: PoisonPlan): ImageSource {
  return overlaid(train, {
    indices: Int32Array.from(items, item => item.index),
    pixels,
    labels: Int32Array.from(items, item => item.label),
  })
}

/** What most attacks do with a training set. */
export interface PlanParts {
  /** What is done to poisoned images; they get the label that the poisoning's mode says. */
  readonly poison: ImageProgram
  /** What is done to `ratio` times as many of the other images, of all classes; they keep their labels. */
  readonly cover?: { readonly program: ImageProgram; readonly ratio: number }
}

/**
 * The plan of an attack that changes a seeded choice of images.
 * @throws InputError if the poisoning cannot be as configured, or there are too few images for the cover.
 */
export async function planOf(context: PoisonContext, { poison, cover }: PlanParts): Promise<PoisonPlan> {
  const { train, poisoning, seed } = context
  const poisoned = poisonedIndices(train, poisoning, seed)
  const part = async (indices: Int32Array, program: ImageProgram, role: PoisonItem['role']) => {
    const before = subsetOf(train, indices)
    const labels =
      role === 'poison' ? goals(before.labels, poisoning, train.classNames.length) : before.labels
    const pixels = await context.render(program, before)
    return { indices, labels, pixels, role }
  }
  const ratio = cover?.ratio ?? 0
  // Before the work on the poison: there may be too few.
  const covering = ratio > 0 ? coverIndices(train, poisoned, ratio, seed) : undefined
  const parts = [await part(poisoned, poison, 'poison')]
  if (cover && covering) parts.push(await part(covering, cover.program, 'cover'))
  const items = parts
    .flatMap(({ indices, labels, role }) =>
      Array.from(indices, (index, i): PoisonItem => ({ index, role, label: labels[i]! })),
    )
    .sort((a, b) => a.index - b.index)
  const changed = parts.reduce(overlaid, train)
  return {
    items,
    pixels: subsetOf(
      changed,
      items.map(item => item.index),
    ),
  }
}

/** A seeded choice of the images that are not poisoned, ascending. */
function coverIndices(train: ImageSource, poisoned: Int32Array, ratio: number, seed: number): Int32Array {
  const taken = new Set(poisoned)
  const rest = Array.from(train.labels.keys()).filter(i => !taken.has(i))
  const count = Math.round(ratio * poisoned.length)
  if (count > rest.length) {
    throw new InputError(
      `the attack wants ${count} cover images, ${ratio} for each of ${poisoned.length} poisoned ones, but only ` +
        `${rest.length} are left of ${train.count}: lower poisoning.rate or the attack's coverRatio`,
    )
  }
  const order = rng(seed, 'cover').permutation(rest.length)
  return Int32Array.from(order.subarray(0, count), i => rest[i]!).sort()
}
