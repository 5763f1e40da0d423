import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { holdOut } from './hold-out.js'
import type { ImageSet } from './image-set.js'

const count = 20
const set: ImageSet = {
  name: 'numbered',
  split: 'train',
  count,
  height: 1,
  width: 1,
  pixels: Uint8Array.from({ length: 3 * count }, (_, i) => Math.floor(i / 3)),
  labels: Int32Array.from({ length: count }, (_, i) => i % 2),
  classNames: ['even', 'odd'],
}
const numbers = (part: ImageSet) => Array.from({ length: part.count }, (_, i) => part.pixels[3 * i]!)

describe('holdOut', () => {
  it('parts the set without loss or overlap, labels with their images', () => {
    const { rest, held } = holdOut(set, 6, 1)
    expect([rest.count, held.count]).toEqual([14, 6])
    expect([...numbers(rest), ...numbers(held)].sort((a, b) => a - b)).toEqual(numbers(set))
    expect([...held.labels]).toEqual(numbers(held).map(n => n % 2))
  })

  it('draws by seed', () => {
    expect(numbers(holdOut(set, 6, 1).held)).toEqual(numbers(holdOut(set, 6, 1).held))
    expect(numbers(holdOut(set, 6, 1).held)).not.toEqual(numbers(holdOut(set, 6, 2).held))
  })

  it('refuses to leave nothing', () => {
    expect(() => holdOut(set, count, 1)).toThrow(InputError)
  })
})
