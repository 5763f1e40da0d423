import { InputError } from 'onnxgrad'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { decodeBatch, decodePicture, decodeRgb } from './decode.js'

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

describe('decodeBatch', () => {
  const size = { height: 2, width: 3 }
  const batchOf = (images: Uint8Array[]) => ({
    firstRow: 40,
    images,
    names: images.map(() => null),
    labels: new Int32Array(images.length),
  })
  const decode = async (images: Uint8Array[]) => {
    const pixels = new Uint8Array(images.length * 18)
    await decodeBatch(batchOf(images), 'x.parquet', { size, resize: false }, pixels, () => {})
    return pixels
  }

  it('keeps the order', async () => {
    const images = Array.from({ length: 50 }, (_, i) => raw.map(value => (value + i) % 256))
    const pixels = await decode(await Promise.all(images.map(image => png(image, 3))))
    expect([...pixels]).toEqual(images.flatMap(planar))
  })

  it('names file and row of an image that is damaged, or of another size', async () => {
    const good = await png(raw, 3)
    const jpeg = await sharp({ create: { ...size, channels: 3, background: 'red' } })
      .jpeg()
      .toBuffer()
    const cut = [good.subarray(0, good.length - 20), jpeg.subarray(0, jpeg.length - 6)]
    for (const bad of [...cut, Uint8Array.of(1, 2, 3), new Uint8Array(0)]) {
      const decoding = decode([good, good, bad, good])
      await expect(decoding).rejects.toThrow(InputError)
      await expect(decoding).rejects.toThrow('x.parquet, row 42: the image cannot be decoded')
    }
    const other = await png(raw, 3, 3, 2)
    await expect(decode([good, other])).rejects.toThrow(
      'row 41: the image is 2×3 pixels but the first is 3×2',
    )
  })
})
