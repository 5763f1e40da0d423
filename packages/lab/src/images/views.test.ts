import { describe, expect, it } from 'vitest'
import { tinyImages } from '../testing/tiny.js'
import { imageAt, imagesInMemory, readAll } from './image-set.js'
import { overlaid, subsetOf } from './views.js'

const set = tinyImages(60)

describe('subsetOf and overlaid', () => {
  it('take images out and put them back changed, leaving the set untouched', async () => {
    const before = { pixels: set.pixels.slice(), labels: set.labels.slice() }
    const indices = Int32Array.of(40, 3)
    const part = await readAll(subsetOf(set, indices))
    expect(part.count).toBe(2)
    expect([...part.labels]).toEqual([1, 0])
    expect(imageAt(part, 0)).toEqual(imageAt(set, 40))
    const pixels = imagesInMemory({ ...part, pixels: part.pixels.map((_, i) => (i < 192 ? 9 : 8)) })
    const view = overlaid(set, { indices, pixels, labels: Int32Array.of(2, 0) })
    const poisoned = await readAll(view)
    for (let i = 0; i < set.count; i++) {
      const value = { 40: 9, 3: 8 }[i]
      expect(poisoned.labels[i]).toBe(value === 9 ? 2 : value === 8 ? 0 : set.labels[i])
      expect(imageAt(poisoned, i)).toEqual(
        value === undefined ? imageAt(set, i) : new Uint8Array(192).fill(value),
      )
    }
    expect(set.pixels).toEqual(before.pixels)
    expect(set.labels).toEqual(before.labels)
  })

  it('are told apart by their ids', () => {
    const ids = [
      set.id,
      tinyImages(60, 2).id,
      subsetOf(set, [1, 2]).id,
      subsetOf(set, [2, 1]).id,
      subsetOf(set, [1]).id,
    ]
    expect(new Set(ids).size).toBe(ids.length)
    expect(subsetOf(set, [1, 2]).id).toBe(subsetOf(tinyImages(60), Int32Array.of(1, 2)).id)
  })
})
