import { rng } from '@ageb/lab'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { decodeRgb, resizeRgb } from './decode.js'
import { readImageHeader } from './image-header.js'
import { upscalerFor } from './upscale.js'

const random = rng(1, 'upscale')
const noise = (height: number, width: number, channels = 3) =>
  Uint8Array.from({ length: height * width * channels }, () => random.int(256))
const lanczos = (height: number, width: number) =>
  ({ height, width, fit: 'fill', kernel: 'lanczos3' }) as const
const planar = (bytes: Uint8Array) =>
  Uint8Array.from(bytes, (_, i) => bytes[((i * 3) % bytes.length) + Math.floor((i * 3) / bytes.length)]!)

describe('upscalerFor', () => {
  it.each([
    [32, 32, 224, 224],
    [28, 28, 32, 32],
    [32, 32, 33, 33],
    [8, 8, 384, 384],
    [30, 48, 90, 50],
    [31, 33, 64, 64],
    [1, 1, 5, 4],
    [2, 3, 32, 32],
    [96, 96, 224, 224],
    [223, 200, 224, 224],
  ])('gives the bytes of sharp from %i×%i to %i×%i', async (fromHeight, fromWidth, height, width) => {
    const from = { height: fromHeight, width: fromWidth }
    const upscale = await upscalerFor(from, { height, width })
    expect(upscale).toBeDefined()
    const image = noise(fromHeight, fromWidth)
    const expected = await sharp(image, { raw: { ...from, channels: 3 } })
      .resize(lanczos(height, width))
      .raw()
      .toBuffer()
    expect(Buffer.compare(upscale!(image), planar(expected))).toBe(0)
  })
})

describe('an image that is enlarged', () => {
  const raw = (channels: 1 | 2 | 3 | 4) =>
    sharp(noise(20, 30, channels), { raw: { height: 20, width: 30, channels } })
  const kinds = {
    JPEG: () => raw(3).jpeg(),
    'progressive JPEG': () => raw(3).jpeg({ progressive: true, chromaSubsampling: '4:4:4' }),
    'grey JPEG': () => raw(1).greyscale().jpeg(),
    'turned JPEG': () => raw(3).withMetadata({ orientation: 6 }).jpeg(),
    PNG: () => raw(3).png(),
    'grey PNG': () => raw(1).toColourspace('b-w').png(),
    'palette PNG': () => raw(3).png({ palette: true, colours: 16 }),
    'transparent PNG': () => raw(4).png(),
    'grey and transparent PNG': () => raw(2).png(),
    'deep PNG': () => raw(3).toColourspace('rgb16').png(),
    'turned PNG': () => raw(3).withMetadata({ orientation: 3 }).png(),
    WebP: () => raw(3).webp({ lossless: true }),
    'transparent WebP': () => raw(4).webp(),
  }

  it.each(Object.entries(kinds))('is what sharp makes of it: %s', async (_, kind) => {
    const encoded = await kind().toBuffer()
    const image = () => sharp(encoded, { ignoreIcc: true })
    // Transparency is dropped first: sharp would weigh each pixel by its opacity.
    const { hasAlpha } = await image().metadata()
    const opaque = hasAlpha ? sharp(await image().removeAlpha().png().toBuffer()) : image()
    for (const [height, width] of [
      [48, 48],
      [25, 90],
      [48, 30],
      [20, 31],
      [10, 60],
      [20, 30],
      [7, 9],
    ] as const) {
      const expected = await opaque
        .clone()
        .autoOrient()
        .resize(lanczos(height, width))
        .toColourspace('srgb')
        .raw()
        .toBuffer()
      const { pixels } = await decodeRgb(encoded, { height, width })
      expect(Buffer.compare(pixels, planar(expected))).toBe(0)
    }
  })

  it('is resized alike from values', async () => {
    const encoded = await raw(3).png().toBuffer()
    const { pixels, ...size } = await decodeRgb(encoded)
    for (const to of [
      { height: 40, width: 44 },
      { height: 9, width: 44 },
      { height: 9, width: 8 },
    ])
      expect(Buffer.compare(await resizeRgb(pixels, size, to), (await decodeRgb(encoded, to)).pixels)).toBe(0)
  })
})

describe('readImageHeader', () => {
  it('never fails, whatever the bytes', async () => {
    const files = await Promise.all(
      [sharp(noise(5, 4), { raw: { height: 5, width: 4, channels: 3 } })].flatMap(image => [
        image.clone().png().toBuffer(),
        image.clone().jpeg().toBuffer(),
        image.clone().gif().toBuffer(),
      ]),
    )
    expect(files.map(file => readImageHeader(file).plain)).toEqual([
      { height: 5, width: 4 },
      { height: 5, width: 4 },
      undefined,
    ])
    for (const file of files) {
      for (let length = 0; length < Math.min(file.length, 300); length++)
        readImageHeader(file.subarray(0, length))
      for (let i = 0; i < 500; i++) {
        const altered = Buffer.from(file)
        for (let n = 0; n < 3; n++) altered[2 + random.int(file.length - 2)] = random.int(256)
        readImageHeader(altered)
      }
    }
  })
})
