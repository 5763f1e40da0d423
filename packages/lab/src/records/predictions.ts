import { InputError } from 'onnxgrad'
import type { BackdoorRates, Confusion, Rate } from '../metrics/figures.js'
import { type PairedDifference, pairedDifference } from '../metrics/paired.js'
import { accuracy, backdoorRates, confusion } from '../metrics/rates.js'
import { assertClasses, type Column, decodeTable, encodeTable } from './table.js'

/**
 * What two models, fine-tuned alike with poison (the victim) and without (its clean twin), predict for every test
 * image, clean and triggered. Class indices, in the order of the images.
 */
export interface BackdoorPredictions {
  /** The image's place in the split that was evaluated. */
  readonly index: Int32Array
  readonly label: Int32Array
  /** The class that the attack wants. */
  readonly goal: Int32Array
  readonly twinClean: Int32Array
  /** What the trigger does to a model without a backdoor. */
  readonly twinTriggered: Int32Array
  readonly victimClean: Int32Array
  readonly victimTriggered: Int32Array
}

const columns = {
  index: 'int',
  label: 'int',
  goal: 'int',
  twinClean: 'int',
  twinTriggered: 'int',
  victimClean: 'int',
  victimTriggered: 'int',
} as const

/**
 * The predictions as a Parquet table, one row a test image; the column `role` says in words whether it counts for the
 * attack: `attacked`, or `goal` if its true class is what the attack wants.
 */
export function encodePredictions(
  predictions: BackdoorPredictions,
  classNames: readonly string[],
): Uint8Array {
  const { index, label, goal, ...predicted } = predictions
  const role = Array.from(label, (value, i) => (value === goal[i] ? 'goal' : 'attacked'))
  const table: Record<string, Column> = { index, role, label, goal, ...predicted }
  return encodeTable(table, { classNames: JSON.stringify(classNames) })
}

/** Reads what `encodePredictions` wrote. Throws InputError naming the file. */
export function decodePredictions(bytes: Uint8Array, where: string): Promise<BackdoorPredictions> {
  return decodeTable(bytes, columns, where)
}

/**
 * Checks predictions from a file before figures are made of them.
 * @param where the file's name, for messages
 * @throws InputError if they are not of `count` images and of classes below `classes`, or no image is attacked
 */
export function assertPredictions(
  { index, ...classColumns }: BackdoorPredictions,
  { classes, count }: { readonly classes: number; readonly count: number },
  where: string,
): void {
  if (index.length !== count)
    throw new InputError(`${where} has ${index.length} rows, but the record is of ${count} test images`)
  assertClasses({ ...classColumns }, classes, where)
  const { label, goal } = classColumns
  if (label.every((value, i) => value === goal[i]))
    throw new InputError(`${where} has no image whose class is not its goal, so there is no attack to rate`)
}

/** The figures of a backdoor experiment, all functions of its predictions. */
export interface BackdoorEvaluation {
  readonly rates: BackdoorRates
  /** Clean data accuracy of the clean twin. */
  readonly cleanCda: Rate
  /** The twin's "attack success": a trigger that fools it too is no backdoor. */
  readonly cleanAsr: Rate
  /** Differences on the same images, each with a paired interval. */
  readonly differences: {
    /** The victim's CDA less that of its clean twin. */
    readonly cda: PairedDifference
    /** ASR less the base rate: what the trigger adds. */
    readonly gain: PairedDifference
    /** ASR less that of the clean twin: what the poison adds. */
    readonly overTwin: PairedDifference
  }
}

/**
 * The figures of a backdoor experiment.
 * @throws RangeError if there is no image, or every image belongs to its goal
 */
export function evaluateBackdoor(predictions: BackdoorPredictions): BackdoorEvaluation {
  const { label, goal, twinClean, twinTriggered, victimClean, victimTriggered } = predictions
  const common = { labels: label, goals: goal }
  const attacked = Array.from(label.keys()).filter(i => label[i] !== goal[i])
  const hitsGoal = (predicted: Int32Array) => (j: number) => predicted[attacked[j]!] === goal[attacked[j]!]
  const hitsLabel = (predicted: Int32Array) => (i: number) => predicted[i] === label[i]
  const rates = backdoorRates({ ...common, clean: victimClean, triggered: victimTriggered })
  return {
    rates,
    cleanCda: accuracy(label, twinClean),
    cleanAsr: backdoorRates({ ...common, clean: twinClean, triggered: twinTriggered }).asr,
    differences: {
      cda: pairedDifference(label.length, { first: hitsLabel(victimClean), second: hitsLabel(twinClean) }),
      gain: pairedDifference(attacked.length, {
        first: hitsGoal(victimTriggered),
        second: hitsGoal(victimClean),
      }),
      overTwin: pairedDifference(attacked.length, {
        first: hitsGoal(victimTriggered),
        second: hitsGoal(twinTriggered),
      }),
    },
  }
}

/** Confusion matrices of a backdoor experiment, classes × classes. */
export interface BackdoorConfusion {
  /** The clean twin on clean images. */
  readonly before: Confusion
  readonly victimClean: Confusion
  readonly victimTriggered: Confusion
}

export function confusionOf(predictions: BackdoorPredictions, classes: number): BackdoorConfusion {
  const { label, twinClean, victimClean, victimTriggered } = predictions
  return {
    before: confusion(label, twinClean, classes),
    victimClean: confusion(label, victimClean, classes),
    victimTriggered: confusion(label, victimTriggered, classes),
  }
}
