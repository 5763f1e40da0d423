import { goals, type PoisoningConfig } from '../attacks/core/poisoning.js'
import type { ImageSource } from '../images/image-source.js'
import type { BackdoorRates, Confusion, Rate, Stealth } from './figures.js'
import { accuracy, backdoorRates, confusion } from './rates.js'
import { stealth } from './stealth.js'

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
 * @param triggered the test images with the trigger.
 */
export async function evaluateBackdoor(
  test: ImageSource,
  triggered: ImageSource,
  called: Predictions,
  config: PoisoningConfig,
): Promise<BackdoorEvaluation> {
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
    stealth: await stealth(test, triggered),
    confusion: {
      before: matrix(called.twinClean),
      victimClean: matrix(called.victimClean),
      victimTriggered: matrix(called.victimTriggered),
    },
  }
}
