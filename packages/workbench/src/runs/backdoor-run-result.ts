import type { BackdoorEvaluation } from '@ageb/lab'
import type { TrainingSpeed } from './training-speed.js'

/** The figures of a backdoor experiment, flat for machines; rates are from 0 to 1. */
export interface BackdoorRunResult {
  readonly run: string
  /** The report's file within the run. */
  readonly report: string
  readonly attack: string
  readonly dataset: string
  readonly poisonRate: number
  readonly poisonCount: number
  readonly cleanCda: number
  readonly cdaDrop: number
  readonly cda: number
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
  /** Of the process that finished the run. */
  readonly seconds: number
  readonly speed: TrainingSpeed | null
  /** 95 % intervals [low, high] of the figures above, and the n of each. */
  readonly intervals: Readonly<Record<string, { low: number; high: number; n: number }>>
  /** The same in full, with confusion matrices. */
  readonly evaluation: BackdoorEvaluation
  /** ISO 8601. */
  readonly startedAt: string
  readonly finishedAt: string
}
