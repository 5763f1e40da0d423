import type { PairedDifference, Stealth } from '@ageb/lab'
import { count, meanInFull, percent, points, rateInFull } from './format.js'
import type { ReportInput } from './report-input.js'

/** The conclusion that the numbers of a run support. */
export type Verdict = 'learned' | 'partly' | 'slight' | 'unexplained' | 'not-shown'

/** A plain statement, and the numbers that support it. */
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

/** With fewer images, an interval is too wide for a conclusion. */
const SMALL_N = 100

const HEADLINES: Record<Verdict, string> = {
  learned: 'Backdoor learned',
  partly: 'Backdoor learned in part',
  slight: 'Slight effect only',
  unexplained: 'Effect not due to the poison',
  'not-shown': 'Backdoor not shown',
}

/**
 * Interprets a run's numbers carefully: a claim is made only if the intervals support it, and it is said what was not
 * measured.
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
    partly:
      'The attack was learned in part: the gain is clear, but it is not shown that it reaches half of the images.',
    slight: 'The trigger has a slight effect, too small to say that the attack was learned.',
    unexplained: 'The trigger works, but not because of the poison.',
    'not-shown':
      gain.high < 0
        ? 'The attack was not learned; with the trigger, the target is even predicted less often.'
        : 'It is not shown that the attack was learned: the interval of the gain includes zero.',
  }
  const evidence =
    `The victim predicts the target, “${poisoning.target}”, for ${rateInFull(asr)} of the triggered images ` +
    `and for ${rateInFull(baseRate)} of the same images without the trigger: ${change(gain)}.`
  return { claim: claims[verdict], evidence }
}

function controlFinding({ cleanAsr, differences }: ReadingInput, verdict: Verdict): Finding {
  const claim =
    verdict === 'unexplained'
      ? 'The trigger fools a model that was trained without poison about as often.'
      : verdict === 'learned' || verdict === 'partly'
        ? 'A model that was trained without poison predicts the target measurably less often.'
        : 'The control:'
  return {
    claim,
    evidence:
      `The clean twin predicts the target for ${rateInFull(cleanAsr)} of the triggered images; ` +
      `the difference of the victim: ${change(differences.overTwin)}.`,
  }
}

function accuracyFinding({ rates, cleanCda, differences }: ReadingInput): Finding {
  const { cda: loss } = differences
  const claim =
    loss.high < 0
      ? 'On clean images, the victim is measurably less accurate than its clean twin.'
      : loss.low > 0
        ? 'On clean images, the victim is more accurate than its clean twin.'
        : 'On clean images, no difference between the victim and its clean twin is shown at this n.'
  return {
    claim,
    evidence: `${rateInFull(rates.cda)} compared with ${rateInFull(cleanCda)}: ${change(loss)}.`,
  }
}

function robustFinding({ rates }: ReadingInput): Finding[] {
  const { ra, asr } = rates
  if (!(ra.n > 0)) return []
  const other = Math.max(0, 1 - asr.value - ra.value)
  const claim =
    ra.low > 0.5
      ? 'Most triggered images are still predicted correctly.'
      : ra.high < 0.5
        ? 'Most triggered images are no longer predicted correctly.'
        : 'About half of the triggered images are still predicted correctly.'
  const evidence = `${rateInFull(ra)} are predicted as their true class; ${percent(other, ra.n)} as neither this class nor the target.`
  return [{ claim, evidence }]
}

function stealthFinding({ psnr, meanAbs, linf }: Stealth): Finding {
  if (!(psnr.n > 0)) return { claim: 'The visibility of the trigger was not measured.', evidence: '' }
  const claim =
    psnr.low >= 40
      ? 'As a rule of thumb, the trigger is hard to see.'
      : psnr.low >= 30
        ? 'As a rule of thumb, the trigger is visible on close inspection.'
        : 'As a rule of thumb, the trigger is visible.'
  const evidence =
    `PSNR ${meanInFull(psnr, 1, 'dB')}. A pixel value, out of 255, changes by ${meanInFull(meanAbs, 2)} on average and by ` +
    `${meanInFull(linf, 1)} at most; these are means over images. No person has judged the images.`
  return { claim, evidence }
}

function cautions({ rates }: ReadingInput): string[] {
  const smallest = Math.min(rates.cda.n, rates.asr.n)
  return [
    ...(smallest < SMALL_N ? [`With n = ${count(smallest)}, all of this is a hint, not a measurement.`] : []),
    'In brackets: 95 % intervals. Those of differences are paired: both sides are the same images. They cover the choice of test images, not the variation between trainings: this is one run.',
  ]
}

/** `+97.0 points (+96.1 to +97.8)`. */
function change({ value, low, high }: PairedDifference): string {
  return `${points(value)} points (${points(low)} to ${points(high)})`
}
