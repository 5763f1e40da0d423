import type { ImageSize } from '@ageb/lab'

/** What the decoder has to know of an encoded image beforehand, as far as its bytes tell without decoding. */
export interface ImageHeader {
  /** Whether it is CMYK; undefined if that is not known. */
  readonly inks: boolean | undefined
  /** Whether it may hold several pictures. */
  readonly mayHavePages: boolean
  /** Whether some of it may be transparent. */
  readonly mayBeTransparent: boolean
  /** Its size, if it is 8-bit RGB or grey, opaque and not to be turned. */
  readonly plain?: ImageSize | undefined
}

/** Reads the header of PNG and JPEG, and knows GIF, TIFF and animated WebP by their first bytes. Never throws. */
export function readImageHeader(encoded: Uint8Array): ImageHeader {
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength)
  try {
    if (view.getUint16(0) === 0xffd8) return jpegHeader(view)
    if (view.getUint32(0) === 0x89504e47) return pngHeader(view)
  } catch {
    // Cut short: the decoder will say so.
    return { inks: false, mayHavePages: false, mayBeTransparent: false }
  }
  const head = Buffer.from(encoded.subarray(0, 21)).toString('latin1')
  if (/^(GIF8|II[*+]\0|MM\0[*+])/.test(head))
    return { inks: undefined, mayHavePages: true, mayBeTransparent: true }
  const isAnimated = /^RIFF.{4}WEBPVP8X/s.test(head) && (head.charCodeAt(20) & 0x02) !== 0
  return { inks: false, mayHavePages: isAnimated, mayBeTransparent: true }
}

function jpegHeader(view: DataView): ImageHeader {
  let hasExif = false
  let header: ImageHeader = { inks: false, mayHavePages: false, mayBeTransparent: false }
  for (let at = 2; at + 4 <= view.byteLength; ) {
    const marker = view.getUint16(at)
    if (marker === 0xffff) {
      at += 1
      continue
    }
    // Start of scan: the headers are over.
    if (marker === 0xffda || marker < 0xff01) break
    const isAlone = marker === 0xff01 || (marker >= 0xffd0 && marker <= 0xffd8)
    if (marker === 0xffe1 && view.getUint32(at + 4) === 0x45786966) hasExif = true
    // Start of frame, of whatever kind; C4, C8 and CC are other things.
    if (marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker)) {
      const [depth, height, width] = [view.getUint8(at + 4), view.getUint16(at + 5), view.getUint16(at + 7)]
      const components = view.getUint8(at + 9)
      const isPlain = depth === 8 && (components === 1 || components === 3)
      header = { ...header, inks: components === 4, ...(isPlain && { plain: { height, width } }) }
    }
    at += 2 + (isAlone ? 0 : view.getUint16(at + 2))
  }
  return hasExif ? { ...header, plain: undefined } : header
}

function pngHeader(view: DataView): ImageHeader {
  const none: ImageHeader = { inks: false, mayHavePages: false, mayBeTransparent: true }
  const [width, height] = [view.getUint32(16), view.getUint32(20)]
  const [depth, colour] = [view.getUint8(24), view.getUint8(25)]
  if (depth !== 8 || ![0, 2, 3].includes(colour)) return none
  for (let at = 8; at + 8 <= view.byteLength; at += 12 + view.getUint32(at)) {
    const kind = view.getUint32(at + 4)
    // tRNS: transparency; eXIf: perhaps an orientation.
    if (kind === 0x74524e53 || kind === 0x65584966) return none
  }
  return { ...none, mayBeTransparent: false, plain: { height, width } }
}
