import { describe, expect, it } from 'vitest'
import { symmetricBeta } from './beta.js'
import { rng } from './rng.js'

describe('symmetricBeta', () => {
  it.each([0.001, 0.2, 1, 4])('has the moments of Beta(%f, %f)', alpha => {
    const random = rng(1, 'beta', alpha)
    const draws = Array.from({ length: 20_000 }, () => symmetricBeta(alpha, random))
    expect(draws.every(x => x >= 0 && x <= 1)).toBe(true)
    const mean = draws.reduce((sum, x) => sum + x) / draws.length
    const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length
    // Five standard errors and more: at most 0.0036 for the mean.
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.02)
    expect(variance * 4 * (2 * alpha + 1)).toBeGreaterThan(0.95)
    expect(variance * 4 * (2 * alpha + 1)).toBeLessThan(1.05)
  })

  it('is uniform for an alpha of 1', () => {
    const random = rng(2, 'beta')
    const counts = Array(10).fill(0)
    for (let i = 0; i < 20_000; i++) counts[Math.min(9, Math.floor(symmetricBeta(1, random) * 10))]++
    // 2000 each with a standard deviation of 42.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(250)
  })
})
