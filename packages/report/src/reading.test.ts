import type { Rate } from '@ageb/lab'
import { expect, test } from 'vitest'
import { rateDifference, readResult } from './reading.js'

/** A rate with its Wilson interval. */
function rate(successes: number, n: number): Rate {
  const z = 1.96
  const value = successes / n
  const centre = (value + (z * z) / (2 * n)) / (1 + (z * z) / n)
  const half = (z * Math.sqrt((value * (1 - value)) / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n)
  return { value, successes, n, low: Math.max(0, centre - half), high: Math.min(1, centre + half) }
}

function read(
  asr: Rate,
  baseRate: Rate,
  { cleanAsr, cda = rate(950, 1000) }: { cleanAsr?: Rate; cda?: Rate } = {},
) {
  const mean = { value: 45, n: 100, low: 44, high: 46 }
  return readResult({
    rates: { cda, asr, baseRate, ra: rate(10, 900) },
    cleanCda: rate(955, 1000),
    ...(cleanAsr ? { cleanAsr } : {}),
    stealth: { psnr: mean, ssim: mean, linf: mean, meanAbs: mean },
    poisoning: { rate: 0.1, count: 100, target: 'cat', mode: 'all-to-one' },
  })
}

test('learned is said only where the interval of the ASR is clear of the base rate', () => {
  expect(read(rate(880, 900), rate(9, 900)).verdict).toBe('learned')
  expect(read(rate(300, 900), rate(9, 900)).verdict).toBe('partly')
  expect(read(rate(40, 900), rate(9, 900)).verdict).toBe('slight')
  expect(read(rate(12, 900), rate(9, 900)).verdict).toBe('not-shown')
  expect(read(rate(3, 4), rate(1, 4)).verdict, 'too few images').toBe('not-shown')
})

test('a trigger that fools the clean twin too is not attributed to the poison', () => {
  expect(read(rate(880, 900), rate(9, 900), { cleanAsr: rate(870, 900) }).verdict).toBe('unexplained')
  expect(read(rate(880, 900), rate(9, 900), { cleanAsr: rate(20, 900) }).verdict).toBe('learned')
  const claims = read(rate(880, 900), rate(9, 900)).findings.map(({ claim }) => claim)
  expect(claims.join(' ')).toContain('It is open how much of this is caused by the poison.')
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
  expect(read(rate(40, 45), rate(1, 45)).cautions.join(' ')).toContain('hint')
})

// Newcombe 1998, Statistics in Medicine 17, table II, method 10: 56/70 − 48/80 gives 0.0524 to 0.3339.
test('the interval of a difference agrees with the published example', () => {
  const { value, low, high } = rateDifference(rate(56, 70), rate(48, 80))
  expect(value).toBeCloseTo(0.2, 10)
  expect(low).toBeCloseTo(0.0524, 4)
  expect(high).toBeCloseTo(0.3339, 4)
})
