import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { decodeOnWhite, decodePicture } from './decode.js'

interface Encoded {
  readonly name: string
  readonly file: string
  readonly height: number
  readonly width: number
  readonly rgb: string
  /** If it differs from `rgb`. */
  readonly onWhite?: string
}
// Made by tools/make-picture-fixtures.py, with the versions that it notes.
const fixture = new URL('../../../lab/fixtures/encoded-pictures.json', import.meta.url)
const { files }: { files: Encoded[] } = JSON.parse(readFileSync(fixture, 'utf8'))
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))

describe('a picture of every kind has the values that Pillow reads', () => {
  it.each(files.map(one => [one.name, one] as const))(
    '%s, without transparency',
    async (_, { file, height, width, rgb }) => {
      const made = await decodePicture(bytes(file))
      expect([made.height, made.width]).toEqual([height, width])
      expect(made.pixels).toEqual(bytes(rgb))
    },
  )

  it.each(files.map(one => [one.name, one] as const))(
    '%s, over white',
    async (_, { file, height, width, rgb, onWhite = rgb }) => {
      const made = await decodeOnWhite(bytes(file))
      expect([made.height, made.width]).toEqual([height, width])
      expect(made.pixels).toEqual(bytes(onWhite))
    },
  )
})
