import type { BackdoorRecord } from './backdoor-record.js'
import { type BackdoorEvaluation, type BackdoorPredictions, evaluateBackdoor } from './predictions.js'

/** The figures of a backdoor experiment, flat for machines; rates are from 0 to 1. */
export interface BackdoorFigures {
  readonly attack: string
  readonly dataset: string
  readonly poisonRate: number
  readonly poisonCount: number
  readonly coverCount: number
  /** Poisoned images, and test images that count for the attack, that the trigger left as they were; null: not counted. */
  readonly poisonUnchanged: number | null
  readonly testUnchanged: number | null
  readonly cleanCda: number
  readonly cda: number
  readonly cdaDrop: number
  readonly asr: number
  readonly cleanAsr: number
  readonly baseRate: number
  readonly ra: number
  readonly psnr: number
  readonly ssim: number
  readonly linf: number
  readonly meanAbs: number
  readonly nTrain: number
  readonly nTest: number
  /** `test split` or `held-out training images`. */
  readonly evaluatedOn: string
  readonly seed: number
  /** 95 % intervals [low, high] of the figures above, and the n of each. */
  readonly intervals: Readonly<Record<string, { low: number; high: number; n: number }>>
  /** Differences on the same images, with paired 95 % intervals. */
  readonly differences: BackdoorEvaluation['differences']
}

/** The figures of a record: what the configuration decides, no times. */
export function figuresOf(record: BackdoorRecord, predictions: BackdoorPredictions): BackdoorFigures {
  const { attack, data, poisoning, configuration } = record
  const { rates, cleanCda, cleanAsr, differences } = evaluateBackdoor(predictions)
  const figures = { cleanCda, ...rates, cleanAsr, ...record.stealth }
  const value = (name: keyof typeof figures) => figures[name].value
  return {
    attack: attack.name,
    dataset: String(configuration.dataset),
    poisonRate: poisoning.rate,
    poisonCount: poisoning.count,
    coverCount: poisoning.cover,
    poisonUnchanged: record.effects?.poison.unchanged ?? null,
    testUnchanged: record.effects?.test.unchanged ?? null,
    cleanCda: value('cleanCda'),
    cda: value('cda'),
    cdaDrop: value('cleanCda') - value('cda'),
    asr: value('asr'),
    cleanAsr: value('cleanAsr'),
    baseRate: value('baseRate'),
    ra: value('ra'),
    psnr: value('psnr'),
    ssim: value('ssim'),
    linf: value('linf'),
    meanAbs: value('meanAbs'),
    nTrain: data.train.count,
    nTest: data.test.count,
    evaluatedOn: data.test.split === 'held-out' ? 'held-out training images' : `${data.test.split} split`,
    seed: Number(configuration.seed),
    intervals: Object.fromEntries(
      Object.entries(figures).map(([name, { low, high, n }]) => [name, { low, high, n }]),
    ),
    differences,
  }
}
