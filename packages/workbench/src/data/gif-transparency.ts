/** A colour, 0 to 255. */
export interface Rgb {
  readonly r: number
  readonly g: number
  readonly b: number
}

const EXTENSION = 0x21
const GRAPHIC_CONTROL = 0xf9
const IMAGE = 0x2c
/** In the flags of a graphic control: one colour of the palette is transparent. */
const IS_TRANSPARENT = 0x01
/** In the flags of the file and of a picture: a palette follows. */
const HAS_PALETTE = 0x80

/**
 * The colour that the transparent pixels of a GIF's first picture have without their transparency, which the decoder
 * makes black: that of the palette, as in Pillow. What the picture leaves free of the screen has it, too, or the first
 * colour if none is transparent.
 *
 * @returns undefined if the file is no GIF, has no palette or is cut short
 */
export function colourUnderneath(encoded: Uint8Array): Rgb | undefined {
  if (Buffer.from(encoded.subarray(0, 4)).toString('latin1') !== 'GIF8') return undefined
  const byte = (at: number) => encoded[at] ?? 0
  const paletteLength = (flags: number) => (flags & HAS_PALETTE ? 3 * 2 ** ((flags & 0x07) + 1) : 0)

  let palette = 13
  let at = palette + paletteLength(byte(10))
  let index = 0
  // Extensions stand before the picture that they are for.
  while (byte(at) === EXTENSION) {
    if (byte(at + 1) === GRAPHIC_CONTROL && byte(at + 3) & IS_TRANSPARENT) index = byte(at + 6)
    at += 2
    while (byte(at) > 0) at += byte(at) + 1
    at += 1
  }
  if (byte(at) !== IMAGE) return undefined
  let flags = byte(10)
  if (byte(at + 9) & HAS_PALETTE) [palette, flags] = [at + 10, byte(at + 9)]
  const first = palette + 3 * index
  if (3 * index >= paletteLength(flags) || first + 3 > encoded.length) return undefined
  return { r: byte(first), g: byte(first + 1), b: byte(first + 2) }
}
