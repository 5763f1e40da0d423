import { type Choices, damaged, edges, fuzz } from 'onnxgrad/testing'
import sharp from 'sharp'
import { decodeOnWhite, decodeRgb, undecodable } from '../data/decode.js'

/* Decodes mutants of pictures and prints a FuzzReport: node --expose-gc fuzz-pictures.js MUTANTS */

const side = 24
const raw = (channels: 1 | 3 | 4) => {
  const values = Uint8Array.from({ length: channels * side * side }, (_, i) => (i * 37 + (i >> 5)) & 255)
  return sharp(values, { raw: { width: side, height: side, channels } })
}
const frames = sharp(
  Uint8Array.from({ length: 3 * side * 2 * side }, (_, i) => (i * 11) & 255),
  { raw: { width: side, height: 2 * side, channels: 3, pageHeight: side } },
)
const sound = await Promise.all([
  raw(3).png().toBuffer(),
  raw(4).png().toBuffer(),
  raw(1).png().toBuffer(),
  raw(3).png({ palette: true, colours: 16 }).toBuffer(),
  raw(3).toColourspace('rgb16').png().toBuffer(),
  raw(3).jpeg().toBuffer(),
  raw(3).jpeg({ progressive: true }).withMetadata({ orientation: 6 }).toBuffer(),
  raw(3).toColourspace('cmyk').jpeg().toBuffer(),
  raw(1).jpeg().toBuffer(),
  frames.clone().gif().toBuffer(),
  raw(3).webp().toBuffer(),
  raw(4).webp({ lossless: true }).toBuffer(),
  frames.clone().webp().toBuffer(),
  raw(3).tiff().toBuffer(),
  raw(3).tiff({ compression: 'lzw' }).toBuffer(),
  raw(3).avif({ effort: 0 }).toBuffer(),
])

/** Damage anywhere, or another number within the header. */
function mutant(choices: Choices): Uint8Array {
  const { int, of } = choices
  const file = Uint8Array.from(of(sound))
  if (int(3) > 0) return damaged(file, choices)
  const at = int(Math.min(200, file.length - 4))
  const view = new DataView(file.buffer)
  const value = of(edges) % 2 ** 32
  if (int(2) === 0) view.setUint32(at, value, int(2) === 0)
  else view.setUint16(at, value & 0xffff, int(2) === 0)
  return file
}

const report = await fuzz({
  mutants: Number(process.argv[2]),
  naming: 'data.parquet, row 3',
  mutant,
  async attempt(bytes) {
    for (const decode of [
      decodeRgb,
      decodeOnWhite,
      (b: Uint8Array) => decodeRgb(b, { height: 12, width: 32 }),
    ]) {
      const { pixels, height, width } = await decode(bytes).catch(error => {
        // Whatever the decoder finds is told by the caller; a fault of ours is not.
        if (error instanceof TypeError || error instanceof RangeError) throw error
        throw undecodable('data.parquet, row 3', error)
      })
      if (pixels.length !== 3 * height * width) throw new Error('pixels of another size')
    }
  },
})
console.log(JSON.stringify(report))
