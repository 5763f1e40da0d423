import { describe, expect, it } from 'vitest'
import { openSealedJson, sealedJson } from './sealed-json.js'

const value = { name: 'ü', list: [1, 0.1, null], nested: { b: 2, a: 1 } }

describe('a JSON object with a checksum', () => {
  it('is read as it was written, however it is laid out', () => {
    const text = sealedJson({ ...value, absent: undefined })
    expect(openSealedJson(text)).toEqual(value)
    const { sha256, nested, ...others } = JSON.parse(text)
    expect(openSealedJson(JSON.stringify({ sha256, nested: { a: 1, b: 2 }, ...others }))).toEqual(value)
  })

  it('is read as it was written or refused, whichever bit of it is flipped and wherever it is cut', () => {
    const bytes = Buffer.from(sealedJson(value))
    let refused = 0
    const attempt = (damaged: Buffer) => {
      try {
        expect(openSealedJson(damaged.toString('utf8'))).toEqual(value)
      } catch (error) {
        expect((error as Error).message).toMatch(/^(it|its) /)
        refused++
      }
    }
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      attempt(flipped)
    }
    for (let length = 0; length < bytes.length - 1; length++) attempt(bytes.subarray(0, length))
    expect(refused).toBeGreaterThan(8 * bytes.length)
  })
})
