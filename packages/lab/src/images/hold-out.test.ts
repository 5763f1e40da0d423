import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { holdOut } from './hold-out.js'
import { imagesInMemory, readAll } from './image-set.js'
import type { ImageSource } from './image-source.js'

const count = 20
const set = imagesInMemory({
  name: 'numbered',
  split: 'train',
  height: 1,
  width: 1,
  pixels: Uint8Array.from({ length: 3 * count }, (_, i) => Math.floor(i / 3)),
  labels: Int32Array.from({ length: count }, (_, i) => i % 2),
  classNames: ['even', 'odd'],
})
const numbers = async (part: ImageSource) => {
  const { pixels } = await readAll(part)
  return Array.from({ length: part.count }, (_, i) => pixels[3 * i]!)
}

describe('holdOut', () => {
  it('parts the set without loss or overlap, labels with their images', async () => {
    const { rest, held } = holdOut(set, 6, 1)
    expect([rest.count, held.count]).toEqual([14, 6])
    expect([...(await numbers(rest)), ...(await numbers(held))].sort((a, b) => a - b)).toEqual(
      await numbers(set),
    )
    expect([...held.labels]).toEqual((await numbers(held)).map(n => n % 2))
  })

  it('draws by seed', async () => {
    const held = (seed: number) => numbers(holdOut(set, 6, seed).held)
    expect(await held(1)).toEqual(await held(1))
    expect(await held(1)).not.toEqual(await held(2))
  })

  it('refuses to leave nothing', () => {
    expect(() => holdOut(set, count, 1)).toThrow(InputError)
  })
})
