import { rate } from './rates.js'

/** The difference of two shares of the same n cases, first − second, with its 95 % interval. */
export interface PairedDifference {
  /** From −1 to 1. */
  readonly value: number
  readonly low: number
  readonly high: number
  readonly n: number
  /** Cases that are hits only in the first, and only in the second: all others agree. */
  readonly onlyFirst: number
  readonly onlySecond: number
  /** McNemar's test of "no difference", two-sided, exact with the mid-p correction. */
  readonly p: number
}

/**
 * Compares two yes-or-no results on the same cases: which images two models classify correctly, say. Because the cases
 * are the same, the interval is narrower than that of two independent samples wherever the results go together.
 *
 * The interval is Newcombe's square-and-add interval for paired shares (his method 10: Wilson intervals, joined by the
 * correlation of the two results). R. G. Newcombe, Improved confidence intervals for the difference between binomial
 * proportions based on paired data, Statistics in Medicine 17 (1998) 2635–2650. The test: Q. McNemar, Psychometrika 12
 * (1947) 153–157; mid-p: M. W. Fagerland, S. Lydersen, P. Laake, BMC Medical Research Methodology 13 (2013) 91.
 *
 * @param hit whether case i, from 0 to n − 1, is a hit: in the first, in the second
 * @throws RangeError if n is below 1
 */
export function pairedDifference(
  n: number,
  hit: { first(i: number): boolean; second(i: number): boolean },
): PairedDifference {
  let [both, onlyFirst, onlySecond] = [0, 0, 0]
  for (let i = 0; i < n; i++) {
    const [first, second] = [hit.first(i), hit.second(i)]
    if (first && second) both++
    else if (first) onlyFirst++
    else if (second) onlySecond++
  }
  return {
    ...intervalOf(both, onlyFirst, onlySecond, n),
    n,
    onlyFirst,
    onlySecond,
    p: midP(onlyFirst, onlySecond),
  }
}

function intervalOf(both: number, onlyFirst: number, onlySecond: number, n: number) {
  const [a, b] = [rate(both + onlyFirst, n), rate(both + onlySecond, n)]
  const neither = n - both - onlyFirst - onlySecond
  const margins = [both + onlyFirst, onlySecond + neither, both + onlySecond, onlyFirst + neither]
  const scale = Math.sqrt(margins.reduce((product, margin) => product * margin, 1))
  const agreement = both * neither - onlyFirst * onlySecond
  // A continuity correction keeps a positive correlation from being overrated in small samples.
  const phi = scale === 0 ? 0 : (agreement > 0 ? Math.max(agreement - n / 2, 0) : agreement) / scale
  const reach = (x: number, y: number) => Math.sqrt(Math.max(0, x * x - 2 * phi * x * y + y * y))
  const value = (onlyFirst - onlySecond) / n
  return {
    value,
    low: value - reach(a.value - a.low, b.high - b.value),
    high: value + reach(a.high - a.value, b.value - b.low),
  }
}

/** Two-sided mid-p value of McNemar's exact test: the discordant cases are fair coins if there is no difference. */
function midP(onlyFirst: number, onlySecond: number): number {
  const n = onlyFirst + onlySecond
  if (n === 0) return 1
  const least = Math.min(onlyFirst, onlySecond)
  // Logarithms: a half to the power of some thousands is no number.
  let log = -n * Math.LN2
  let below = 0
  for (let k = 0; k < least; k++) {
    below += Math.exp(log)
    log += Math.log((n - k) / (k + 1))
  }
  const at = Math.exp(log)
  return onlyFirst === onlySecond ? 1 : Math.min(1, 2 * below + at)
}
