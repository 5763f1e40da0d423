import type { PairedDifference, Stealth } from '@ageb/lab'
import { count, meanInFull, percent, points, rateInFull } from './format.js'
import type { ReportInput } from './report-input.js'

/** What the numbers of a run allow one to say. */
export type Verdict = 'learned' | 'partly' | 'slight' | 'unexplained' | 'not-shown'

/** A plain statement, and the numbers that carry it. */
export interface Finding {
  readonly claim: string
  readonly evidence: string
}

/** The result in plain language. */
export interface Reading {
  readonly verdict: Verdict
  /** A few words. */
  readonly headline: string
  readonly findings: readonly Finding[]
  /** What the numbers do not cover. */
  readonly cautions: readonly string[]
}

type ReadingInput = Pick<
  ReportInput,
  'rates' | 'cleanCda' | 'cleanAsr' | 'differences' | 'stealth' | 'poisoning'
>

/** A gain counts as clear when its whole 95 % interval lies at least this far above zero. */
const CLEAR_MARGIN = 0.05

/** Below so many images an interval is too wide to build on. */
const SMALL_N = 100

const HEADLINES: Record<Verdict, string> = {
  learned: 'Backdoor learned',
  partly: 'Backdoor learned in part',
  slight: 'Slight effect only',
  unexplained: 'Effect not due to the poison',
  'not-shown': 'Backdoor not shown',
}

/**
 * Reads a run's numbers as a careful person would: a claim is made only where the intervals carry it, and what was not
 * measured is said to be so.
 */
export function readResult(input: ReadingInput): Reading {
  const verdict = judge(input)
  const findings = [
    attackFinding(input, verdict),
    controlFinding(input, verdict),
    accuracyFinding(input),
    ...robustFinding(input),
    stealthFinding(input.stealth),
  ]
  return { verdict, headline: HEADLINES[verdict], findings, cautions: cautions(input) }
}

function judge({ rates, differences }: ReadingInput): Verdict {
  const { gain, overTwin } = differences
  if (!(gain.low > 0)) return 'not-shown'
  if (gain.low < CLEAR_MARGIN) return 'slight'
  if (overTwin.low < CLEAR_MARGIN) return 'unexplained'
  return rates.asr.low >= 0.5 ? 'learned' : 'partly'
}

function attackFinding({ rates, differences, poisoning }: ReadingInput, verdict: Verdict): Finding {
  const { asr, baseRate } = rates
  const { gain } = differences
  const claims: Record<Verdict, string> = {
    learned: 'The attack was learned.',
    partly: 'The attack was learned in part: a clear gain, not shown to reach half of the images.',
    slight: 'The trigger has a slight effect, too small to call the attack learned.',
    unexplained: 'The trigger works, but not because of the poison.',
    'not-shown':
      gain.high < 0
        ? 'The attack was not learned; the trigger even leads away from the target.'
        : 'It is not shown that the attack was learned: the interval of the gain reaches zero.',
  }
  const evidence =
    `The victim calls ${rateInFull(asr)} of the triggered images the target, “${poisoning.target}”, ` +
    `against ${rateInFull(baseRate)} of the same images without trigger: ${change(gain)}.`
  return { claim: claims[verdict], evidence }
}

function controlFinding({ cleanAsr, differences }: ReadingInput, verdict: Verdict): Finding {
  const claim =
    verdict === 'unexplained'
      ? 'The trigger fools a model that saw no poison about as often.'
      : verdict === 'learned' || verdict === 'partly'
        ? 'A model that saw no poison does so measurably less.'
        : 'The control:'
  return {
    claim,
    evidence:
      `The clean twin predicts the target for ${rateInFull(cleanAsr)} of the triggered images: ` +
      `the victim, ${change(differences.overTwin)}.`,
  }
}

function accuracyFinding({ rates, cleanCda, differences }: ReadingInput): Finding {
  const { cda: loss } = differences
  const claim =
    loss.high < 0
      ? 'On clean images the victim is measurably worse than its clean twin.'
      : loss.low > 0
        ? 'On clean images the victim does better than its clean twin.'
        : 'On clean images the victim cannot be told from its clean twin at this n.'
  return {
    claim,
    evidence: `${rateInFull(rates.cda)} against ${rateInFull(cleanCda)}: ${change(loss)}.`,
  }
}

function robustFinding({ rates }: ReadingInput): Finding[] {
  const { ra, asr } = rates
  if (!(ra.n > 0)) return []
  const other = Math.max(0, 1 - asr.value - ra.value)
  const claim =
    ra.low > 0.5
      ? 'Most triggered images are still called right.'
      : ra.high < 0.5
        ? 'Most triggered images are no longer called right.'
        : 'About half of the triggered images are still called right.'
  const evidence = `${rateInFull(ra)} keep their true class; ${percent(other, ra.n)} are called neither that nor the target.`
  return [{ claim, evidence }]
}

function stealthFinding({ psnr, meanAbs, linf }: Stealth): Finding {
  if (!(psnr.n > 0)) return { claim: 'How visible the trigger is was not measured.', evidence: '' }
  const claim =
    psnr.low >= 40
      ? 'By rule of thumb the trigger is hard to see.'
      : psnr.low >= 30
        ? 'By rule of thumb the trigger shows on a close look.'
        : 'By rule of thumb the trigger can be seen.'
  const evidence =
    `PSNR ${meanInFull(psnr, 1, 'dB')}; of 255, a value changes by ${meanInFull(meanAbs, 2)} on average and by ` +
    `${meanInFull(linf, 1)} at most, means over images. Nobody was asked to look.`
  return { claim, evidence }
}

function cautions({ rates }: ReadingInput): string[] {
  const smallest = Math.min(rates.cda.n, rates.asr.n)
  return [
    ...(smallest < SMALL_N ? [`With n = ${count(smallest)} all of this is a hint, not a measurement.`] : []),
    'In brackets: 95 % intervals; those of differences are paired, since both sides are the same images. They cover the choice of test images, not the spread between trainings: this is one run.',
  ]
}

/** `+97.0 points (+96.1 to +97.8)`. */
function change({ value, low, high }: PairedDifference): string {
  return `${points(value)} points (${points(low)} to ${points(high)})`
}
