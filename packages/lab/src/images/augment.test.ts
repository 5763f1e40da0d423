import { describe, expect, it } from 'vitest'
import { type Rng, rng } from '../random/rng.js'
import { tinyImages } from '../testing/tiny.js'
import { augment } from './augment.js'

const [HEIGHT, WIDTH] = [5, 4]
const PLANE = HEIGHT * WIDTH
const image = Uint8Array.from({ length: 3 * PLANE }, (_, i) => i + 1)

/** Pads with zeros, cuts out at (top, left), then mirrors: one whole picture after the other. */
function naive(crop: number, top: number, left: number, mirrored: boolean): Uint8Array {
  const rows = Array.from({ length: 3 * HEIGHT }, (_, r) => [...image.slice(r * WIDTH, (r + 1) * WIDTH)])
  const side = new Array(crop).fill(0)
  const black = () => new Array(WIDTH + 2 * crop).fill(0)
  const out = [0, 1, 2].flatMap(c => {
    const channel = rows.slice(c * HEIGHT, (c + 1) * HEIGHT).map(row => [...side, ...row, ...side])
    const padded = [...side.map(black), ...channel, ...side.map(black)]
    const cut = padded.slice(top, top + HEIGHT).map(row => row.slice(left, left + WIDTH))
    return mirrored ? cut.map(row => row.toReversed()) : cut
  })
  return Uint8Array.from(out.flat())
}

/** A stream that gives what the test says. */
const scripted = (ints: number[], uniforms: number[]): Rng => ({
  ...rng(1),
  int: () => ints.shift()!,
  uniform: () => uniforms.shift()!,
})

const run = (crop: number, flip: boolean, random: Rng) => {
  const out = new Uint8Array(image.length).fill(77)
  augment(image, out, { height: HEIGHT, width: WIDTH }, { crop, flip }, random)
  return out
}

describe('augment', () => {
  it('crops the padded image at every offset, mirrored or not', () => {
    for (let top = 0; top <= 4; top++)
      for (let left = 0; left <= 4; left++)
        for (const mirrored of [false, true])
          expect(run(2, true, scripted([top, left], [mirrored ? 0.49 : 0.5]))).toEqual(
            naive(2, top, left, mirrored),
          )
  })

  it('may be off', () => {
    expect(run(0, false, rng(1))).toEqual(image)
    expect(run(0, true, scripted([], [0.2]))).toEqual(naive(0, 0, 0, true))
  })

  it('draws every offset and mirrors about half', () => {
    const random = rng(1, 'augment')
    const possible = [0, 1, 2].flatMap(top =>
      [0, 1, 2].flatMap(left => [false, true].map(mirrored => naive(1, top, left, mirrored).join())),
    )
    const seen = new Map(possible.map(picture => [picture, 0]))
    for (let i = 0; i < 1800; i++) {
      const picture = run(1, true, random).join()
      expect(seen.has(picture)).toBe(true)
      seen.set(picture, seen.get(picture)! + 1)
    }
    // 100 expected of each of 18, with a deviation of 9.7.
    for (const count of seen.values()) expect(Math.abs(count - 100)).toBeLessThan(50)
  })

  it('leaves the image itself alone', () => {
    const set = tinyImages(1)
    const before = set.pixels.slice()
    augment(set.pixels, new Uint8Array(192), set, { crop: 2, flip: true }, rng(1))
    expect(set.pixels).toEqual(before)
  })
})
