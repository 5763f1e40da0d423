import { describe, expect, it } from 'vitest'
import { warmupCosine } from './schedules.js'

describe('warmupCosine', () => {
  it('rises in equal steps to the peak, then falls along half a cosine to the floor', () => {
    const rate = warmupCosine({ peak: 0.8, steps: 12, warmup: 4, floor: 0.25 })
    expect([0, 1, 2, 3, 4].map(rate)).toEqual([0.2, 0.4, expect.closeTo(0.6, 12), 0.8, 0.8])
    // Half way down: the mean of peak and floor.
    expect(rate(8)).toBeCloseTo(0.5, 12)
    expect(rate(6)).toBeCloseTo(0.8 * (0.25 + 0.75 * 0.5 * (1 + Math.SQRT1_2)), 12)
    expect(rate(12)).toBeCloseTo(0.2, 12)
    expect(rate(11)).toBeGreaterThan(0.2)
  })

  it('starts at the peak without warm-up, ends at 0 without a floor and stays there', () => {
    const rate = warmupCosine({ peak: 1, steps: 10 })
    expect(rate(0)).toBe(1)
    expect(rate(10)).toBeCloseTo(0, 12)
    expect(rate(1000)).toBeCloseTo(0, 12)
  })

  it('may be all warm-up', () => {
    const rate = warmupCosine({ peak: 1, steps: 2, warmup: 2 })
    expect([rate(0), rate(1), rate(2)]).toEqual([0.5, 1, 1])
  })
})
