import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { tinyImages } from '../../testing/tiny.js'
import { goals, poisonedIndices, poisoningConfig } from './poisoning.js'

const set = tinyImages(60)
const config = (changes: object) => poisoningConfig.parse(changes)

describe('goals', () => {
  const labels = Int32Array.of(0, 1, 2)
  it('are the target, or the next class', () => {
    expect([...goals(labels, config({ target: 1 }), 3)]).toEqual([1, 1, 1])
    expect([...goals(labels, config({ mode: 'clean-label', target: 2 }), 3)]).toEqual([2, 2, 2])
    expect([...goals(labels, config({ mode: 'all-to-all' }), 3)]).toEqual([1, 2, 0])
  })
})

describe('poisonedIndices', () => {
  const chosen = (changes: object, seed = 1) => Array.from(poisonedIndices(set, config(changes), seed))
  const classesOf = (indices: number[]) => [...new Set(indices.map(i => set.labels[i]))].sort()

  it('chooses the rate of all images, each once, in ascending order', () => {
    for (const mode of ['all-to-one', 'all-to-all', 'clean-label']) {
      for (const [rate, count] of [
        [0, 0],
        [0.01, 1],
        [0.1, 6],
        [0.125, 8],
        [1 / 3, 20],
      ] as const) {
        const indices = chosen({ mode, rate })
        expect(indices.length).toBe(count)
        expect(indices).toEqual([...new Set(indices)].sort((a, b) => a - b))
      }
    }
  })

  it('is decided by the seed', () => {
    expect(chosen({ rate: 0.3 })).toEqual(chosen({ rate: 0.3 }))
    expect(chosen({ rate: 0.3 }, 2)).not.toEqual(chosen({ rate: 0.3 }))
  })

  it('takes no image whose label would stay, unless labels are to stay', () => {
    expect(classesOf(chosen({ rate: 0.6, target: 1 }))).toEqual([0, 2])
    expect(classesOf(chosen({ rate: 0.3, target: 1, mode: 'clean-label' }))).toEqual([1])
    expect(classesOf(chosen({ rate: 1, mode: 'all-to-all' }))).toEqual([0, 1, 2])
  })

  it('says when there are too few images, or no such class', () => {
    expect(() => chosen({ rate: 0.7 })).toThrow(InputError)
    expect(() => chosen({ rate: 0.7 })).toThrow('asks for 42 images, but all-to-one can use only 40')
    expect(() => chosen({ rate: 0.4, mode: 'clean-label' })).toThrow('clean-label can use only 20')
    expect(() => chosen({ target: 3 })).toThrow('poisoning.target is 3, but tiny has the classes 0 to 2')
  })
})
