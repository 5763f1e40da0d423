import sharp from 'sharp'
import { expect, test } from 'vitest'
import { amplifiedDifference, heatMap, maskImage, strip, toPng } from './pictures.js'

const [height, width] = [3, 4]
const size = height * width
const image = Uint8Array.from({ length: 3 * size }, (_, i) => (i * 37) % 256)

/** The pixels of a PNG, planar. */
async function decode(png: Buffer) {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true })
  const pixels = info.width * info.height
  const planar = Uint8Array.from(
    { length: 3 * pixels },
    (_, i) => data[(i % pixels) * info.channels + Math.floor(i / pixels)]!,
  )
  return { planar, width: info.width, height: info.height }
}

test('a PNG holds the same pixels', async () => {
  expect(await decode(await toPng(image, { height, width }))).toEqual({ planar: image, width, height })
})

test('enlarged pixels are squares of one colour', async () => {
  const scale = 5
  const large = await decode(await toPng(image, { height, width, scale }))
  expect([large.width, large.height]).toEqual([width * scale, height * scale])
  const expected = Uint8Array.from(large.planar, (_, i) => {
    const [channel, rest] = [Math.floor(i / (size * scale * scale)), i % (size * scale * scale)]
    const [y, x] = [Math.floor(rest / (width * scale)), rest % (width * scale)]
    return image[channel * size + Math.floor(y / scale) * width + Math.floor(x / scale)]!
  })
  expect(large.planar).toEqual(expected)
})

test('a wrong size or scale is an error that says so', async () => {
  await expect(toPng(image, { height, width: 5 })).rejects.toThrow('3 × 3 × 5 = 45 values, got 36')
  await expect(toPng(image, { height, width, scale: 1.5 })).rejects.toThrow('whole scale')
})

test('the heat map runs from the palette’s first colour at 0 to its last at the maximum', () => {
  const viridis = heatMap(Float32Array.of(0, 1, 4), { palette: 'viridis' })
  const pixel = (planar: Uint8Array, i: number) => [planar[i], planar[3 + i], planar[6 + i]]
  expect(pixel(viridis, 0)).toEqual([0x44, 0x01, 0x54])
  expect(pixel(viridis, 2)).toEqual([0xfd, 0xe7, 0x25])
  const inferno = heatMap(Float32Array.of(0, 1, 4))
  expect(pixel(inferno, 0)).toEqual([0x00, 0x00, 0x04])
  expect(pixel(inferno, 2)).toEqual([0xfc, 0xff, 0xa4])
  expect(pixel(heatMap(Float32Array.of(0, 1, 4), { max: 1 }), 1)).toEqual(pixel(inferno, 2))
  expect(pixel(heatMap(new Float32Array(3)), 1)).toEqual(pixel(inferno, 0))
  expect(() => heatMap(Float32Array.of(1, Number.NaN))).toThrow('got NaN at index 1')
})

test('a mask is black and white', () => {
  expect(maskImage(Uint8Array.of(0, 1))).toEqual(Uint8Array.of(0, 255, 0, 255, 0, 255))
  expect(maskImage(Float32Array.of(0.5, 0))).toEqual(Uint8Array.of(255, 0, 255, 0, 255, 0))
})

test('the amplified difference is absolute and clipped', () => {
  const a = Uint8Array.of(0, 10, 200, 7)
  const b = Uint8Array.of(3, 8, 100, 7)
  expect(amplifiedDifference(a, b)).toEqual(Uint8Array.of(30, 20, 255, 0))
  expect(amplifiedDifference(a, b, 2)).toEqual(Uint8Array.of(6, 4, 200, 0))
})

test('a strip keeps each image’s pixels, on white, with captions beneath', async () => {
  const gap = 2
  const options = { height, width, scale: 8, gap }
  const plain = await decode(await strip([image, image], options))
  expect([plain.width, plain.height]).toEqual([gap + 2 * (width * 8 + gap), height * 8 + 2 * gap])
  const at = (x: number, y: number) => plain.planar[y * plain.width + x]
  expect(at(0, 0)).toBe(255)
  expect(at(gap, gap)).toBe(image[0])
  expect(at(gap + width * 8 + gap + 8, gap)).toBe(image[1])
  const labelled = await decode(await strip([image, image], { ...options, labels: ['a & b', '<c>'] }))
  expect(labelled.height).toBeGreaterThan(plain.height)
  await expect(strip([image], { ...options, labels: ['a', 'b'] })).rejects.toThrow('expected 1 labels')
})
