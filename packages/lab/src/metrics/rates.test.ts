import { describe, expect, it } from 'vitest'
import { accuracy, backdoorRates, confusion, mean, rate } from './rates.js'

describe('accuracy', () => {
  it('is the share called by their true class', () => {
    expect(accuracy(Int32Array.of(0, 1, 2, 2), Int32Array.of(0, 2, 2, 2))).toMatchObject({
      successes: 3,
      n: 4,
      value: 0.75,
    })
  })

  it('refuses lists that do not go together, and empty ones', () => {
    expect(() => accuracy(Int32Array.of(0), Int32Array.of(0, 1))).toThrow(RangeError)
    expect(() => accuracy(new Int32Array(0), new Int32Array(0))).toThrow(RangeError)
  })
})

describe('rate', () => {
  it('gives the Wilson interval worked out by hand', () => {
    // Bounds solve (p − k/n)² = z² p (1 − p) / n.
    for (const [k, n] of [
      [81, 263],
      [15, 148],
      [1, 29],
    ] as const) {
      const { low, high, value } = rate(k, n)
      for (const p of [low, high]) {
        expect((p - value) ** 2).toBeCloseTo((1.959963984540054 ** 2 * p * (1 - p)) / n, 12)
      }
      expect(low).toBeLessThan(value)
      expect(high).toBeGreaterThan(value)
    }
    // Newcombe, Statistics in Medicine 17 (1998) 857–872, table I, method 3.
    expect(rate(81, 263).low).toBeCloseTo(0.2553, 4)
    expect(rate(81, 263).high).toBeCloseTo(0.3662, 4)
    expect(rate(0, 20).high).toBeCloseTo(0.1611, 4)
  })

  it('reaches exactly 0 and 1 and no further', () => {
    for (const n of [1, 7, 20, 9000]) {
      expect(rate(0, n)).toMatchObject({ value: 0, low: 0, successes: 0, n })
      expect(rate(n, n)).toMatchObject({ value: 1, high: 1 })
      expect(rate(n, n).low).toBeLessThan(1)
    }
  })

  it('refuses no cases and impossible counts', () => {
    expect(() => rate(0, 0)).toThrow(RangeError)
    expect(() => rate(3, 2)).toThrow(RangeError)
    expect(() => rate(-1, 2)).toThrow(RangeError)
    expect(() => rate(0.5, 2)).toThrow(RangeError)
    expect(() => rate(Number.NaN, 2)).toThrow(RangeError)
  })
})

describe('mean', () => {
  it('uses the sample standard deviation', () => {
    const { value, low, high, n } = mean([1, 2, 3, 4])
    expect({ value, n }).toEqual({ value: 2.5, n: 4 })
    const half = (1.959963984540054 * Math.sqrt(5 / 3)) / 2
    expect(high - value).toBeCloseTo(half, 12)
    expect(value - low).toBeCloseTo(half, 12)
  })

  it('takes one value and refuses none, NaN and infinities', () => {
    expect(mean(new Float32Array([3]))).toEqual({ value: 3, n: 1, low: 3, high: 3 })
    expect(() => mean([])).toThrow(RangeError)
    expect(() => mean([1, Number.POSITIVE_INFINITY])).toThrow(/value 1 is Infinity/)
    expect(() => mean([Number.NaN])).toThrow(RangeError)
  })
})

describe('confusion', () => {
  it('counts true classes in rows and predictions in columns', () => {
    expect(confusion([0, 0, 1, 2], [0, 1, 1, 0], 3)).toEqual([
      [1, 1, 0],
      [0, 1, 0],
      [1, 0, 0],
    ])
  })

  it('refuses classes out of range and unequal lengths', () => {
    expect(() => confusion([0], [3], 3)).toThrow(RangeError)
    expect(() => confusion([-1], [0], 3)).toThrow(RangeError)
    expect(() => confusion([0, 1], [0], 3)).toThrow(/labels 2, predictions 1/)
  })
})

describe('backdoorRates', () => {
  const of = (...values: number[]) => Int32Array.from(values)

  it('leaves images of the target class out of all but the accuracy', () => {
    const rates = backdoorRates({
      labels: of(0, 0, 1, 1, 2, 2),
      goals: of(0, 0, 0, 0, 0, 0),
      clean: of(0, 1, 1, 0, 2, 2),
      triggered: of(0, 0, 0, 0, 0, 2),
    })
    expect(rates.cda).toMatchObject({ successes: 4, n: 6 })
    expect(rates.asr).toMatchObject({ successes: 3, n: 4 })
    expect(rates.ra).toMatchObject({ successes: 1, n: 4 })
    expect(rates.baseRate).toMatchObject({ successes: 1, n: 4 })
  })

  it('rates all-to-all by the goal of each image', () => {
    const rates = backdoorRates({
      labels: of(0, 1, 2),
      goals: of(1, 2, 0),
      clean: of(0, 2, 2),
      triggered: of(1, 2, 2),
    })
    expect(rates.cda).toMatchObject({ successes: 2, n: 3 })
    expect(rates.asr).toMatchObject({ successes: 2, n: 3 })
    expect(rates.ra).toMatchObject({ successes: 1, n: 3 })
    expect(rates.baseRate).toMatchObject({ successes: 1, n: 3 })
  })

  it('refuses unequal lengths and a set with nothing to attack', () => {
    const one = of(0)
    expect(() => backdoorRates({ labels: one, goals: one, clean: of(0, 1), triggered: one })).toThrow(
      /clean 2/,
    )
    expect(() => backdoorRates({ labels: one, goals: one, clean: one, triggered: one })).toThrow(/none of 1/)
  })
})
