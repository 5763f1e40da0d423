import { describe, expect, it } from 'vitest'
import { plateauGolden } from './optimizer-goldens.js'
import {
  cosine,
  dropped,
  linearDecay,
  noPlateau,
  observePlateau,
  stepDecay,
  warmup,
  warmupCosine,
} from './schedules.js'

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

describe('the other schedules', () => {
  it('fall along a line, or by a factor now and then, but not below the floor', () => {
    const line = linearDecay({ peak: 2, steps: 4, floor: 0.5 })
    expect([0, 1, 2, 3, 4, 9].map(line)).toEqual([2, 1.75, 1.5, 1.25, 1, 1])
    const stairs = stepDecay({ peak: 2, every: 2.5, factor: 0.5, floor: 0.2 })
    expect([0, 1, 2, 3, 4, 5, 8, 10].map(stairs)).toEqual([2, 2, 2, 1, 1, 0.5, 0.4, 0.4])
  })

  it('begin where the warm-up ends', () => {
    const rate = warmup(1, 4, linearDecay({ peak: 1, steps: 4 }))
    expect([0, 3, 4, 5, 8].map(rate)).toEqual([0.25, 1, 1, 0.75, 0])
    const [joined, one] = [
      warmup(0.3, 5, cosine({ peak: 0.3, steps: 8, floor: 0.1 })),
      warmupCosine({ peak: 0.3, steps: 13, warmup: 5, floor: 0.1 }),
    ]
    for (let i = 0; i < 15; i++) expect(joined(i)).toBe(one(i))
  })
})

describe('a plateau', () => {
  it('is what PyTorch takes for one', () => {
    let state = noPlateau
    const rates = plateauGolden.metrics.map(metric => {
      state = observePlateau(state, metric, { patience: 2 })
      return dropped(state.drops, { peak: 1, factor: 0.5 })
    })
    expect(rates).toEqual(plateauGolden.rates)
  })
})
