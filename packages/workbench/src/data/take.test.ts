import { describe, expect, it } from 'vitest'
import { balancedIndices } from './take.js'

const labels = Int32Array.from({ length: 60 }, (_, i) => i % 3)

describe('balancedIndices', () => {
  it('chooses distinct images, equally many of each class', () => {
    const chosen = balancedIndices(labels, 3, 30, 1)
    expect(new Set(chosen).size).toBe(30)
    for (const label of [0, 1, 2]) expect([...chosen].filter(i => labels[i] === label)).toHaveLength(10)
  })

  it('gives what is left over to the first classes', () => {
    const chosen = balancedIndices(labels, 3, 31, 1)
    expect([0, 1, 2].map(label => [...chosen].filter(i => labels[i] === label).length)).toEqual([11, 10, 10])
  })

  it('depends on the seed and on nothing else', () => {
    expect(balancedIndices(labels, 3, 30, 1)).toEqual(balancedIndices(labels, 3, 30, 1))
    expect(balancedIndices(labels, 3, 30, 1)).not.toEqual(balancedIndices(labels, 3, 30, 2))
  })

  it('says which class is too small', () => {
    expect(() => balancedIndices(labels, 3, 63, 1)).toThrow(
      'Class 0 has 20 images where a balanced choice of 63 wants 21',
    )
  })
})
