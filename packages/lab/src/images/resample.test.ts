import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Arithmetic, centerCrop, type Picture, type Resampling, resample } from './resample.js'

interface Case {
  readonly from: [number, number]
  readonly to: [number, number]
  readonly kernel: Resampling
  readonly pixels: string
  readonly pillow: string
  readonly torch?: string
  readonly 'torch-float'?: string
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

describe('resizing as torch does with float32', () => {
  it.each(cases.filter(one => one['torch-float']).map(one => [one.kernel, one.from, one.to, one] as const))(
    'gives its values: %s, %j to %j',
    (kernel, [height, width], [newHeight, newWidth], one) => {
      const picture = { pixels: Float32Array.from(bytes(one.pixels)), height, width }
      const made = resample(picture, { height: newHeight, width: newWidth }, kernel, 'torch-float')
      const wanted = new Float32Array(bytes(one['torch-float']!).buffer)
      expect(made.pixels).toHaveLength(wanted.length)
      const errors = wanted.map((value, i) => Math.abs(value - made.pixels[i]!))
      expect(Math.max(...errors)).toBeLessThan(1e-3)
    },
  )
})

it('nearest takes the pixel under the middle of the new one, as both do', () => {
  // 10 pixels become 4: the middles are at 1.25, 3.75, 6.25 and 8.75.
  const pixels = Uint8Array.from({ length: 3 * 10 }, (_, i) => 20 * (i % 10))
  for (const arithmetic of ['pillow', 'torch'] as const) {
    const made = resample({ pixels, height: 1, width: 10 }, { height: 1, width: 4 }, 'nearest', arithmetic)
    expect([...made.pixels.subarray(0, 4)]).toEqual([20, 60, 120, 160])
  }
})

describe('the middle of a picture', () => {
  const pixels = Uint8Array.from({ length: 3 * 3 * 4 }, (_, i) => i + 1)
  const picture = { pixels, height: 3, width: 4 }
  const plane = (made: Picture) => [...made.pixels.subarray(0, made.pixels.length / 3)]

  it('is cut out', () => {
    expect(plane(centerCrop(picture, { height: 2, width: 2 }))).toEqual([2, 3, 6, 7])
    expect(centerCrop(picture, { height: 3, width: 4 })).toEqual(picture)
  })

  it('lies where its side is halved downwards, or to even', () => {
    const row = { pixels: Uint8Array.from({ length: 24 }, (_, i) => i % 8), height: 1, width: 8 }
    const left = (width: number, rounding: 'down' | 'even') =>
      centerCrop(row, { height: 1, width }, rounding).pixels[0]
    expect([7, 5, 3, 1].map(width => left(width, 'down'))).toEqual([0, 1, 2, 3])
    expect([7, 5, 3, 1].map(width => left(width, 'even'))).toEqual([0, 2, 2, 4])
    expect([8, 6, 4, 2].map(width => left(width, 'even'))).toEqual([0, 1, 2, 3])
  })

  it('has black around it where the picture is smaller', () => {
    const made = centerCrop(picture, { height: 6, width: 1 })
    expect(plane(made)).toEqual([0, 2, 6, 10, 0, 0])
    expect([...made.pixels.subarray(6, 12)]).toEqual([0, 14, 18, 22, 0, 0])
  })
})
