import { InputError } from 'onnxgrad'
import {
  goals,
  type PoisoningConfig,
  poisonedIndices,
  subset,
  withPoison,
} from '../attacks/core/poisoning.js'
import type { Trigger } from '../attacks/core/trigger.js'
import type { ImageSet } from '../images/image-set.js'
import type { BackdoorRates, Confusion, Rate, Stealth } from './figures.js'
import { accuracy, backdoorRates, confusion } from './rates.js'
import { stealth } from './stealth.js'

/** A training set with poison in it, and which of its images were poisoned. */
export interface PoisonedSet {
  readonly set: ImageSet
  readonly indices: Int32Array
}

/** Triggers and relabels a seeded choice of the training images. */
export async function poison(
  set: ImageSet,
  config: PoisoningConfig,
  trigger: Trigger,
  seed: number,
  progress?: (done: number) => void,
): Promise<PoisonedSet> {
  const indices = poisonedIndices(set, config, seed)
  const chosen = subset(set, indices)
  const pixels = await trigger.apply(chosen, progress)
  return {
    set: withPoison(set, indices, pixels, goals(chosen.labels, config, set.classNames.length)),
    indices,
  }
}

/** What two models, fine-tuned alike with and without poison, call the same test images. */
export interface Predictions {
  /** The clean twin on clean images. */
  readonly twinClean: Int32Array
  /** The clean twin on triggered images: what the trigger does to a model without a backdoor. */
  readonly twinTriggered: Int32Array
  readonly victimClean: Int32Array
  readonly victimTriggered: Int32Array
}

export interface BackdoorEvaluation {
  readonly rates: BackdoorRates
  /** Clean data accuracy of the clean twin. */
  readonly cleanCda: Rate
  /** The twin's "attack success": a trigger that fools it too is no backdoor. */
  readonly cleanAsr: Rate
  readonly stealth: Stealth
  readonly confusion: {
    readonly before: Confusion
    readonly victimClean: Confusion
    readonly victimTriggered: Confusion
  }
}

/**
 * The figures of a backdoor experiment.
 * @param triggered the test images with the trigger, uint8 (count, 3, H, W).
 */
export function evaluateBackdoor(
  test: ImageSet,
  triggered: Uint8Array,
  called: Predictions,
  config: PoisoningConfig,
): BackdoorEvaluation {
  if (triggered.length !== test.pixels.length)
    throw new InputError('triggered and clean test images differ in number')
  const classes = test.classNames.length
  const { labels } = test
  const goal = goals(labels, config, classes)
  const matrix = (predictions: Int32Array) => confusion(labels, predictions, classes)
  return {
    rates: backdoorRates({
      labels,
      goals: goal,
      clean: called.victimClean,
      triggered: called.victimTriggered,
    }),
    cleanCda: accuracy(labels, called.twinClean),
    cleanAsr: backdoorRates({ labels, goals: goal, clean: called.twinClean, triggered: called.twinTriggered })
      .asr,
    stealth: stealth(test.pixels, triggered, test),
    confusion: {
      before: matrix(called.twinClean),
      victimClean: matrix(called.victimClean),
      victimTriggered: matrix(called.victimTriggered),
    },
  }
}
