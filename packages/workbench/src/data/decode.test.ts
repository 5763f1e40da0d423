import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { decodePicture, decodeRgb, resizeRgb, undecodable } from './decode.js'

/** A 2 × 3 image (height × width) with different values everywhere. */
const raw = Uint8Array.from({ length: 18 }, (_, i) => i * 14)
const png = (bytes: Uint8Array, channels: 1 | 2 | 3 | 4, height = 2, width = 3) =>
  sharp(bytes, { raw: { height, width, channels } }).png().toBuffer()
const planar = (bytes: Uint8Array) => [0, 1, 2].flatMap(c => [...bytes].filter((_, i) => i % 3 === c))

describe('decodeRgb', () => {
  it('gives channel after channel', async () => {
    const image = await decodeRgb(await png(raw, 3))
    expect(image).toMatchObject({ height: 2, width: 3 })
    expect([...image.pixels]).toEqual(planar(raw))
  })

  it('makes grey RGB and drops transparency without blending', async () => {
    const grey = Uint8Array.of(0, 50, 100, 150, 200, 255)
    expect([...(await decodeRgb(await png(grey, 1))).pixels]).toEqual([...grey, ...grey, ...grey])
    const translucent = Uint8Array.from({ length: 24 }, (_, i) =>
      i % 4 === 3 ? 9 : raw[(i >> 2) * 3 + (i % 4)]!,
    )
    expect([...(await decodeRgb(await png(translucent, 4))).pixels]).toEqual(planar(raw))
  })

  it('resizes to the size asked for and leaves an image of that size alone', async () => {
    const encoded = await png(raw, 3)
    expect((await decodeRgb(encoded, { height: 5, width: 4 })).pixels).toHaveLength(60)
    expect([...(await decodeRgb(encoded, { height: 2, width: 3 })).pixels]).toEqual(planar(raw))
  })

  it('applies the orientation that the file declares', async () => {
    const turned = await sharp(raw, { raw: { height: 2, width: 3, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer()
    expect(await decodeRgb(turned)).toMatchObject({ height: 3, width: 2 })
  })

  it('refuses an image that claims too many pixels', async () => {
    const bomb = await sharp({ create: { width: 2, height: 2, channels: 3, background: 'red' } })
      .jpeg()
      .toBuffer()
    // Height and width stand five bytes after the start-of-frame marker.
    const frame = bomb.indexOf(Uint8Array.of(0xff, 0xc0))
    bomb.writeUInt16BE(30_000, frame + 5)
    bomb.writeUInt16BE(30_000, frame + 7)
    await expect(decodeRgb(bomb)).rejects.toThrow('pixel limit')
  })
})

// As Pillow 13.0.0 wrote them: four pixels of Image.frombytes('CMYK', …), and Image.new('CMYK', (8, 8), …).
const cmykTiff =
  'SUkqABgAAACAACBAB/wMAICCgoKB5AQECgAAAQMAAQAAAAQAAAABAQMAAQAAAAEAAAACAQMABAAAAJYAAAADAQMAAQAAAAUAAAAGAQMAAQAAAAUAAAARAQQAAQAAAAgAAAAVAQMAAQAAAAQAAAAWAQMAAQAAAAEAAAAXAQQAAQAAABAAAAAcAQMAAQAAAAEAAAAAAAAACAAIAAgACAA='
const cmykJpeg =
  '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoKCgYICwwLCgwJCgoK/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAkF/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAA4EQwBNAFkASwAAPwB1FwbZXH//2Q=='

describe('decodePicture', () => {
  it("takes away from CMYK what the inks and black take: the bytes of Pillow's convert('RGB')", async () => {
    const tiff = await decodePicture(Buffer.from(cmykTiff, 'base64'))
    const pillow = [255, 255, 255, 0, 255, 255, 255, 127, 0, 122, 117, 112]
    expect([...tiff.pixels]).toEqual(planar(Uint8Array.from(pillow)))
    const jpeg = await decodePicture(Buffer.from(cmykJpeg, 'base64'))
    expect([0, 64, 128].map(i => jpeg.pixels[i])).toEqual([207, 114, 46])
  })
})

describe('decodeRgb of unusual files', () => {
  const pillow = [255, 255, 255, 0, 255, 255, 255, 127, 0, 122, 117, 112]

  it('sees the same CMYK as decodePicture, and resizes what it sees', async () => {
    const tiff = Buffer.from(cmykTiff, 'base64')
    const seen = await decodeRgb(tiff)
    expect([...seen.pixels]).toEqual(planar(Uint8Array.from(pillow)))
    const larger = { height: 3, width: 7 }
    const resized = await decodeRgb(tiff, larger)
    expect(resized).toMatchObject(larger)
    expect(resized.pixels).toEqual(await resizeRgb(seen.pixels, seen, larger))
    const jpeg = await decodeRgb(Buffer.from(cmykJpeg, 'base64'), { height: 4, width: 4 })
    expect([0, 16, 32].map(i => jpeg.pixels[i])).toEqual([207, 114, 46])
  })

  it('takes a CMYK JPEG for what it is wherever its frame header stands', async () => {
    const jpeg = Buffer.from(cmykJpeg, 'base64')
    // A comment of 1,000 bytes before all else, and filling bytes before a marker.
    const comment = Buffer.concat([Uint8Array.of(0xff, 0xfe, 1000 >> 8, 1000 & 255), Buffer.alloc(998, 0xc0)])
    const longer = Buffer.concat([jpeg.subarray(0, 2), comment, Uint8Array.of(0xff, 0xff), jpeg.subarray(2)])
    const { pixels } = await decodeRgb(longer)
    expect([0, 64, 128].map(i => pixels[i])).toEqual([207, 114, 46])
  })

  it('scales 16 bits to 8, of grey as of colour', async () => {
    const deep = Uint16Array.from([0, 257 * 17, 257 * 128, 65535, 300, 40_000])
    for (const channels of [1, 3] as const) {
      const width = 6 / channels
      const bytes = await sharp(deep, { raw: { height: 1, width, channels } })
        .toColourspace(channels === 1 ? 'grey16' : 'rgb16')
        .png()
        .toBuffer()
      expect(await sharp(bytes).metadata()).toMatchObject({ depth: 'ushort' })
      const { pixels } = await decodeRgb(bytes)
      const high = [...deep].map(value => value >> 8)
      expect([...pixels]).toEqual(
        channels === 1 ? [...high, ...high, ...high] : planar(Uint8Array.from(high)),
      )
    }
  })

  it('decodes palettes and grey with transparency', async () => {
    const palette = await sharp(raw, { raw: { height: 2, width: 3, channels: 3 } })
      .png({ palette: true, colours: 6 })
      .toBuffer()
    expect((await decodeRgb(palette)).pixels).toHaveLength(18)
    const translucent = Uint8Array.of(10, 0, 20, 255, 30, 128, 40, 1, 50, 254, 60, 7)
    const grey = [10, 20, 30, 40, 50, 60]
    expect([...(await decodeRgb(await png(translucent, 2))).pixels]).toEqual([...grey, ...grey, ...grey])
  })

  it.each(['gif', 'webp', 'tiff'] as const)(
    'takes the first frame of several in %s, and says how many',
    async format => {
      const frames = [40, 200].map(value => ({
        create: { width: 4, height: 4, channels: 3 as const, background: { r: value, g: value, b: value } },
      }))
      const images = await Promise.all(frames.map(frame => sharp(frame).png().toBuffer()))
      const several = await sharp(images, { join: { animated: true } })
        .toFormat(format, { lossless: true })
        .toBuffer()
      const image = await decodeRgb(several)
      expect(image).toMatchObject({ height: 4, width: 4, frames: 2 })
      expect(Math.abs(image.pixels[0]! - 40)).toBeLessThan(3)
      const one = await sharp(images[1]!).toFormat(format).toBuffer()
      expect(await decodeRgb(one)).toMatchObject({ height: 4, frames: 1 })
    },
  )

  it('puts what is damaged into one sentence with file and row', async () => {
    const good = await png(raw, 3)
    const jpeg = await sharp({ create: { width: 3, height: 2, channels: 3, background: 'red' } })
      .jpeg()
      .toBuffer()
    const cut = [good.subarray(0, good.length - 20), jpeg.subarray(0, jpeg.length - 6), jpeg.subarray(0, 20)]
    for (const bad of [...cut, Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(0xff, 0xd8, 0xff)]) {
      const error: unknown = await decodeRgb(bad).catch((thrown: unknown) => thrown)
      expect(undecodable('x.parquet, row 42', error).message).toMatch(
        /^x\.parquet, row 42: the image cannot be decoded \(.+\): fetch the file again or leave the image out\.$/,
      )
    }
  })
})
