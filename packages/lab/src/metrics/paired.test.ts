import { describe, expect, it } from 'vitest'
import { pairedDifference } from './paired.js'

/** Cases in the order both, only the first, only the second, neither. */
const compared = (both: number, onlyFirst: number, onlySecond: number, neither: number) =>
  pairedDifference(both + onlyFirst + onlySecond + neither, {
    first: i => i < both + onlyFirst,
    second: i => i < both || (i >= both + onlyFirst && i < both + onlyFirst + onlySecond),
  })

describe('pairedDifference', () => {
  // The first two tables and their limits are Newcombe's (1998, table III, method 10); the others, and the p values, were
  // computed with exact binomial sums in Python.
  it.each<[number[], number, number, number, number]>([
    [[36, 12, 2, 0], 0.2, 0.0569, 0.3404, 0.007385],
    [[53, 0, 1, 0], -0.0185, -0.0977, 0.0496, 0.5],
    [[200, 37, 12, 51], 0.0833, 0.0381, 0.1288, 0.000306],
    [[700, 30, 14, 256], 0.016, 0.0029, 0.0292, 0.016094],
    [[10, 5, 5, 10], 0, -0.204, 0.204, 1],
    [[0, 29, 1, 0], 0.9333, 0.6666, 0.9882, 0],
  ])('of %j', (counts, value, low, high, p) => {
    const difference = compared(counts[0]!, counts[1]!, counts[2]!, counts[3]!)
    expect(difference.value).toBeCloseTo(value, 4)
    expect(difference.low).toBeCloseTo(low, 4)
    expect(difference.high).toBeCloseTo(high, 4)
    expect(difference.p).toBeCloseTo(p, 6)
    expect([difference.onlyFirst, difference.onlySecond]).toEqual([counts[1], counts[2]])
  })

  it('is narrower than that of independent samples where the results go together', () => {
    const same = compared(800, 20, 10, 170)
    const apart = compared(656, 164, 154, 26)
    expect(same.high - same.low).toBeLessThan((apart.high - apart.low) / 2)
  })

  it('stays a number where thousands differ', () => {
    expect(compared(0, 6000, 4000, 0).p).toBeLessThan(1e-80)
    expect(compared(0, 5001, 4999, 0).p).toBeGreaterThan(0.9)
  })

  it('needs a case', () => {
    expect(() => compared(0, 0, 0, 0)).toThrow(RangeError)
  })
})
