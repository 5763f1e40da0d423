import { expect, it } from 'vitest'
import { imagesInMemory } from '../images/image-set.js'
import { tinyImages } from '../testing/tiny.js'
import { effectOf } from './effect.js'

it('effectOf counts images that are byte for byte as they were, over several pieces', async () => {
  // 300 pixels wide: 15 images a piece.
  const clean = tinyImages(40, 1, 300)
  const size = clean.pixels.length / clean.count
  const pixels = clean.pixels.slice()
  for (const i of [0, 14, 15, 39]) pixels[i * size + (i === 39 ? size - 1 : i)]! ^= 1
  const done: number[] = []
  const effect = await effectOf(clean, imagesInMemory({ ...clean, pixels }), at => done.push(at))
  expect(effect).toEqual({ count: 40, unchanged: 36 })
  expect(done).toEqual([15, 30, 40])
  expect(await effectOf(clean, clean)).toEqual({ count: 40, unchanged: 40 })
})
