import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { decodePicture, decodeRgb } from './decode.js'
import { colourUnderneath } from './gif-transparency.js'

const palette = [
  [10, 20, 30],
  [200, 100, 50],
  [0, 255, 0],
  [7, 8, 9],
]

/** A GIF of 4×1 pixels whose only picture is at `left`; its pixels are numbers of colours. */
function gif(
  pixels: readonly number[],
  left: number,
  { transparent = -1, local = false, note = false } = {},
) {
  const control = [0x21, 0xf9, 4, transparent < 0 ? 0 : 1, 0, 0, Math.max(0, transparent), 0]
  const comment = [0x21, 0xfe, 2, 0x2c, 0x2c, 0]
  const colours = palette.flat()
  // Codes of three bits: clear, two colours, clear, two colours, end; nothing is compressed.
  const codes = pixels.flatMap((pixel, i) => (i % 2 === 0 ? [4, pixel] : [pixel])).concat(5)
  const bits = codes.map(code => code.toString(2).padStart(3, '0')).reverse()
  const packed = BigInt(`0b${bits.join('')}`)
  const data = Array.from({ length: Math.ceil((3 * codes.length) / 8) }, (_, i) =>
    Number((packed >> BigInt(8 * i)) & 255n),
  )
  return Uint8Array.from([
    ...Buffer.from('GIF89a'),
    ...[4, 0, 1, 0, local ? 0 : 0x81, 0, 0],
    ...(local ? [] : colours),
    ...(note ? comment : []),
    ...control,
    ...[0x2c, left, 0, 0, 0, pixels.length, 0, 1, 0, local ? 0x81 : 0],
    ...(local ? colours : []),
    ...[2, data.length, ...data, 0, 0x3b],
  ])
}

/** The colours of the pixels. */
async function colours(file: Uint8Array) {
  const { pixels, width } = await decodePicture(file)
  return Array.from({ length: width }, (_, i) => [pixels[i], pixels[width + i], pixels[2 * width + i]])
}

describe('transparency of a GIF that is dropped', () => {
  it.each([{}, { local: true }, { note: true }])('leaves the colour of the palette: %j', async more => {
    const numbers = [0, 1, 2, 1]
    const file = gif(numbers, 0, { transparent: 1, ...more })
    expect(await colours(file)).toEqual(numbers.map(number => palette[number]))
  })

  it('gives it to what the picture leaves free, too', async () => {
    const file = gif([2, 3], 1, { transparent: 1 })
    expect(await colours(file)).toEqual([1, 2, 3, 1].map(number => palette[number]))
  })

  it('is looked for in GIF alone, and not in what is cut short', async () => {
    const file = gif([0, 1, 2, 1], 0, { transparent: 1 })
    expect(colourUnderneath(file)).toEqual({ r: 200, g: 100, b: 50 })
    for (let length = 0; length < file.length; length++)
      expect([undefined, { r: 200, g: 100, b: 50 }]).toContainEqual(
        colourUnderneath(file.subarray(0, length)),
      )
    expect(colourUnderneath(await sharp(file).png().toBuffer())).toBeUndefined()
  })
})

it('transparency of any kind is dropped before the image is resized', async () => {
  const pixels = Uint8Array.from({ length: 4 * 64 }, (_, i) => (i * 37 + i * i) % 256)
  const opaque = pixels.filter((_, i) => i % 4 !== 3)
  const image = sharp(pixels, { raw: { width: 8, height: 8, channels: 4 } })
  const plain = sharp(opaque, { raw: { width: 8, height: 8, channels: 3 } })
  const wanted = await plain.png().toBuffer()
  for (const encoded of [
    await image.png().toBuffer(),
    await image.tiff({ compression: 'deflate' }).toBuffer(),
  ])
    for (const side of [5, 8, 12]) {
      const size = { height: side, width: side }
      expect((await decodeRgb(encoded, size)).pixels).toEqual((await decodeRgb(wanted, size)).pixels)
    }
})
