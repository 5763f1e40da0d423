import { type PairedDifference, pairedDifference, type Rate } from '@ageb/lab'
import { expect, test } from 'vitest'
import { readResult } from './reading.js'

/** A rate with its Wilson interval. */
function rate(successes: number, n: number): Rate {
  const z = 1.96
  const value = successes / n
  const centre = (value + (z * z) / (2 * n)) / (1 + (z * z) / n)
  const half = (z * Math.sqrt((value * (1 - value)) / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n)
  return { value, successes, n, low: Math.max(0, centre - half), high: Math.min(1, centre + half) }
}

/** The difference of two rates on the same images, whose hits have nothing to do with each other. */
function difference(a: Rate, b: Rate): PairedDifference {
  // 7 and n have no common divisor, so that the second hits are spread over all images.
  return pairedDifference(a.n, { first: i => i < a.successes, second: i => (7 * i) % a.n < b.successes })
}

function read(
  asr: Rate,
  baseRate: Rate,
  { cleanAsr = rate(9, asr.n), cda = rate(950, 1000) }: { cleanAsr?: Rate; cda?: Rate } = {},
) {
  const mean = { value: 45, n: 100, low: 44, high: 46 }
  const cleanCda = rate(955, 1000)
  return readResult({
    rates: { cda, asr, baseRate, ra: rate(10, 900) },
    cleanCda,
    cleanAsr,
    differences: {
      cda: difference(cda, cleanCda),
      gain: difference(asr, baseRate),
      overTwin: difference(asr, cleanAsr),
    },
    stealth: { psnr: mean, ssim: mean, linf: mean, meanAbs: mean },
    poisoning: { rate: 0.1, count: 100, target: 'cat', mode: 'all-to-one', cover: 0 },
  })
}

test('learned is said only where the interval of the ASR is clear of the base rate', () => {
  expect(read(rate(880, 900), rate(9, 900)).verdict).toBe('learned')
  expect(read(rate(300, 900), rate(9, 900)).verdict).toBe('partly')
  expect(read(rate(40, 900), rate(9, 900)).verdict).toBe('slight')
  expect(read(rate(12, 900), rate(9, 900)).verdict).toBe('not-shown')
  expect(read(rate(3, 4), rate(1, 4), { cleanAsr: rate(1, 4) }).verdict, 'too few images').toBe('not-shown')
})

test('a trigger that fools the clean twin too is not attributed to the poison', () => {
  expect(read(rate(880, 900), rate(9, 900), { cleanAsr: rate(870, 900) }).verdict).toBe('unexplained')
  expect(read(rate(880, 900), rate(9, 900), { cleanAsr: rate(20, 900) }).verdict).toBe('learned')
})

test('a loss of accuracy is named only where the interval of the difference excludes none', () => {
  const claims = (cda: Rate) =>
    read(rate(880, 900), rate(9, 900), { cda })
      .findings.map(({ claim }) => claim)
      .join(' ')
  expect(claims(rate(950, 1000))).toContain('no difference between the victim and its clean twin')
  expect(claims(rate(900, 1000))).toContain('measurably less accurate')
})

test('small samples are called a hint', () => {
  expect(read(rate(40, 45), rate(1, 45), { cleanAsr: rate(1, 45) }).cautions.join(' ')).toContain('hint')
})
