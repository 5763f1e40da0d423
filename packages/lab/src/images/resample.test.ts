import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Arithmetic, centerCrop, type Resampling, resample } from './resample.js'

interface Case {
  readonly from: [number, number]
  readonly to: [number, number]
  readonly kernel: Resampling
  readonly pixels: string
  readonly pillow: string
  readonly torch?: string
}
// Made by tools/make-resampling-fixtures.py, with the versions that it notes.
const file = new URL('../../fixtures/resampling.json', import.meta.url)
const cases: Case[] = JSON.parse(readFileSync(file, 'utf8')).cases
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))

describe.each(['pillow', 'torch'] as const satisfies Arithmetic[])('resizing as %s does', arithmetic => {
  it.each(cases.filter(one => one[arithmetic]).map(one => [one.kernel, one.from, one.to, one] as const))(
    'gives its bytes: %s, %j to %j',
    (kernel, [height, width], to, one) => {
      const size = { height: to[0], width: to[1] }
      const made = resample({ pixels: bytes(one.pixels), height, width }, size, kernel, arithmetic)
      expect(made).toEqual({ pixels: bytes(one[arithmetic]!), ...size })
    },
  )
})

describe('the middle of a picture', () => {
  const pixels = Uint8Array.from({ length: 3 * 3 * 4 }, (_, i) => i + 1)
  const picture = { pixels, height: 3, width: 4 }
  const plane = (made: { pixels: Uint8Array }) => [...made.pixels.subarray(0, made.pixels.length / 3)]

  it('is cut out', () => {
    expect(plane(centerCrop(picture, { height: 2, width: 2 }))).toEqual([2, 3, 6, 7])
    expect(centerCrop(picture, { height: 3, width: 4 })).toEqual(picture)
  })

  it('has black around it where the picture is smaller', () => {
    const made = centerCrop(picture, { height: 6, width: 1 })
    expect(plane(made)).toEqual([0, 2, 6, 10, 0, 0])
    expect([...made.pixels.subarray(6, 12)]).toEqual([0, 14, 18, 22, 0, 0])
  })
})
