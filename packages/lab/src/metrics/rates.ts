import type { BackdoorRates, Mean, Rate } from './figures.js'

/** The standard normal quantile of a two-sided 95 % interval. */
const Z = 1.959963984540054

/**
 * The share `successes / n` with its 95 % Wilson score interval.
 *
 * Wilson's interval stays inside 0 … 1 and keeps its width at shares of 0 and 1, where attack success rates
 * live; the normal interval shrinks to a point there.
 *
 * @param successes whole number from 0 to n
 * @param n cases, at least 1
 * @throws RangeError when n is 0, or either is not a whole number in its range
 *
 * E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209–212.
 */
export function rate(successes: number, n: number): Rate {
  if (!Number.isSafeInteger(n) || n < 1) throw new RangeError(`a rate needs at least one case, not n = ${n}`)
  if (!Number.isSafeInteger(successes) || successes < 0 || successes > n) {
    throw new RangeError(`successes must be a whole number from 0 to n = ${n}, not ${successes}`)
  }
  const value = successes / n
  const scale = 1 + (Z * Z) / n
  const center = (value + (Z * Z) / (2 * n)) / scale
  const half = (Z / scale) * Math.sqrt((value * (1 - value)) / n + (Z * Z) / (4 * n * n))
  return {
    value,
    successes,
    n,
    // At the ends the bound is exactly 0 or 1; rounding would put it an ulp beside.
    low: successes === 0 ? 0 : center - half,
    high: successes === n ? 1 : center + half,
  }
}

/**
 * The mean of finite values with its 95 % normal interval, value ± 1.96 · s / √n, s the sample standard
 * deviation (n − 1). One value says nothing of its spread: with n = 1, low and high are that value.
 *
 * @throws RangeError when there is no value, or one is NaN or infinite
 */
export function mean(values: ArrayLike<number>): Mean {
  const n = values.length
  if (n === 0) throw new RangeError('a mean needs at least one value')
  let sum = 0
  for (let i = 0; i < n; i++) {
    const value = values[i]!
    if (!Number.isFinite(value)) throw new RangeError(`a mean needs finite values; value ${i} is ${value}`)
    sum += value
  }
  const value = sum / n
  let squares = 0
  for (let i = 0; i < n; i++) squares += (values[i]! - value) ** 2
  const half = n === 1 ? 0 : Z * Math.sqrt(squares / (n - 1) / n)
  return { value, n, low: value - half, high: value + half }
}

/**
 * Accuracy: the share of images whose predicted class is the true one; clean data accuracy on clean images.
 *
 * @throws RangeError if the lengths differ or there is no image
 */
export function accuracy(labels: Int32Array, predictions: Int32Array): Rate {
  if (labels.length !== predictions.length) {
    throw new RangeError(`${labels.length} labels do not go with ${predictions.length} predictions`)
  }
  return rate(
    labels.reduce((right, label, i) => right + (predictions[i] === label ? 1 : 0), 0),
    labels.length,
  )
}

/**
 * The confusion matrix: `counts[i][j]` images of true class i were called class j (classes × classes).
 *
 * @param labels true class of each image, from 0 to classes − 1
 * @param predictions predicted class of each image, same length and range
 * @throws RangeError when the lengths differ or a class is out of range
 */
export function confusion(
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
  classes: number,
): number[][] {
  sameLength({ labels, predictions })
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
  for (let i = 0; i < labels.length; i++) {
    const row = counts[labels[i]!]
    const predicted = predictions[i]!
    if (row?.[predicted] === undefined) {
      throw new RangeError(
        `image ${i} has label ${labels[i]} and prediction ${predicted}; both must be from 0 to ${classes - 1}`,
      )
    }
    row[predicted]! += 1
  }
  return counts
}

/** Class indices of the same n test images, in the same order. */
export interface VictimPredictions {
  /** The true class of each image. */
  readonly labels: Int32Array
  /** The class the attack wants of each image: the target (all-to-one), or label + 1 mod C (all-to-all). */
  readonly goals: Int32Array
  /** The class that the victim predicts for each clean image. */
  readonly clean: Int32Array
  /** The class that it predicts for each image with the trigger. */
  readonly triggered: Int32Array
}

/**
 * The four rates of a backdoor, each with n and its 95 % Wilson interval.
 *
 * - `cda`, clean data accuracy: of all clean images, those predicted as their true class.
 * - `asr`, attack success rate: of the triggered images whose true class is not their goal, those called
 *   their goal. An image that already belongs to its goal would count as a success without any attack.
 * - `ra`, robust accuracy: of the same triggered images, those still predicted as their true class.
 * - `baseRate`: of the same images untriggered, those predicted as their goal: what `asr` would be by mistake alone.
 *
 * @throws RangeError when the lengths differ, there is no image, or every image belongs to its goal
 */
export function backdoorRates({ labels, goals, clean, triggered }: VictimPredictions): BackdoorRates {
  sameLength({ labels, goals, clean, triggered })
  let correct = 0
  let attacked = 0
  let hit = 0
  let robust = 0
  let base = 0
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!
    const goal = goals[i]!
    if (clean[i] === label) correct++
    if (label === goal) continue
    attacked++
    if (triggered[i] === goal) hit++
    if (triggered[i] === label) robust++
    if (clean[i] === goal) base++
  }
  if (attacked === 0) {
    throw new RangeError(`none of ${labels.length} images has a class other than its goal: no attack to rate`)
  }
  return {
    cda: rate(correct, labels.length),
    asr: rate(hit, attacked),
    ra: rate(robust, attacked),
    baseRate: rate(base, attacked),
  }
}

function sameLength(arrays: Record<string, ArrayLike<number>>): void {
  const lengths = Object.entries(arrays).map(([name, array]) => `${name} ${array.length}`)
  if (new Set(Object.values(arrays).map(array => array.length)).size > 1) {
    throw new RangeError(`lengths differ: ${lengths.join(', ')}`)
  }
}
