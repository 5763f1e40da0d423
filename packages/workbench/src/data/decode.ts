import type { ImageSize } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import sharp, { type Sharp } from 'sharp'

/** One decoded image: uint8, 3 × height × width, RGB. */
export interface RgbImage extends ImageSize {
  readonly pixels: Uint8Array
  /** How many pictures the file has; more than one of an animation or a document, of which the first is taken. */
  readonly frames: number
}

/** Larger images are refused before they are decoded: 64 megapixels, 200 MB as RGB. */
const maxPixels = 2 ** 26

// Many small images are decoded at once, and none twice: threads within one, or a cache, would only cost.
sharp.concurrency(1)
sharp.cache(false)

/** What every decoding asks for. A colour profile is ignored, as Pillow does, whose values models are trained on. */
const reading = { limitInputPixels: maxPixels, failOn: 'error', ignoreIcc: true } as const

/**
 * Decodes one encoded image (PNG, JPEG, WebP, …) to RGB: the one decoder of data sets, triggers and predictions. Grey
 * becomes RGB, 16 bits become 8, transparency is dropped (not blended), an orientation in the file's metadata is
 * applied, and of an animation the first frame is taken, as the Hugging Face loaders do. CMYK becomes the bytes that
 * Pillow's `convert('RGB')` makes of it.
 *
 * @param size resize to this with Lanczos3, ignoring the aspect ratio; as stored if not given
 * @throws Error of the decoder if the bytes are no image, are damaged or have more than 64 megapixels
 */
export async function decodeRgb(encoded: Uint8Array, size?: ImageSize): Promise<RgbImage> {
  const { inks, frames } = await peculiarities(encoded)
  if (!inks) return { ...(await toRgb(sharp(encoded, reading).autoOrient(), size)), frames }
  const { data, info } = await sharp(encoded, reading)
    .autoOrient()
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw()
    .toBuffer({ resolveWithObject: true })
  const light = sharp(cmykToRgb(data), { raw: { width: info.width, height: info.height, channels: 3 } })
  return { ...(await toRgb(light, size)), frames }
}

/** `decodeRgb` of a picture that a person gives, as stored. */
export const decodePicture = (encoded: Uint8Array): Promise<RgbImage> => decodeRgb(encoded)

/**
 * Resizes RGB values as `decodeRgb` does.
 *
 * @param planar uint8, 3 × height × width
 */
export async function resizeRgb(planar: Uint8Array, from: ImageSize, to: ImageSize): Promise<Uint8Array> {
  if (from.height === to.height && from.width === to.width) return planar
  const raw = { width: from.width, height: from.height, channels: 3 } as const
  return (await toRgb(sharp(toInterleaved(planar), { raw }), to)).pixels
}

async function toRgb(image: Sharp, size: ImageSize | undefined): Promise<ImageSize & { pixels: Uint8Array }> {
  const resized = size
    ? image.resize({ width: size.width, height: size.height, fit: 'fill', kernel: 'lanczos3' })
    : image
  const { data, info } = await resized
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
  if (info.channels !== 3) throw new Error(`it decodes to ${info.channels} channels`)
  return { height: info.height, width: info.width, pixels: toPlanar(data) }
}

/**
 * What `decodeRgb` has to know of an image beforehand. Reading the header costs as much as decoding a small image, so
 * it is read only of the kinds of files that can be CMYK or have several pictures.
 */
async function peculiarities(encoded: Uint8Array): Promise<{ inks: boolean; frames: number }> {
  if (encoded[0] === 0xff && encoded[1] === 0xd8) return { inks: jpegComponents(encoded) === 4, frames: 1 }
  if (!mayHavePages(encoded)) return { inks: false, frames: 1 }
  const { space, pages = 1 } = await sharp(encoded, reading).metadata()
  return { inks: space === 'cmyk', frames: pages }
}

/** Of GIF, TIFF and WebP with animation, by their first bytes. */
function mayHavePages(encoded: Uint8Array): boolean {
  const head = Buffer.from(encoded.subarray(0, 21)).toString('latin1')
  if (/^(GIF8|II[*+]\0|MM\0[*+])/.test(head)) return true
  return /^RIFF.{4}WEBPVP8X/s.test(head) && (head.charCodeAt(20) & 0x02) !== 0
}

/** The number of colour components that the frame header of a JPEG declares; undefined if there is none. */
function jpegComponents(encoded: Uint8Array): number | undefined {
  for (let at = 2; at + 9 < encoded.length; ) {
    if (encoded[at] !== 0xff) return undefined
    const marker = encoded[at + 1]!
    // Start of frame, of whatever kind; C4, C8 and CC are other things.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc)
      return encoded[at + 9]
    const isAlone = marker === 0xff || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)
    if (marker === 0xff) at += 1
    else at += 2 + (isAlone ? 0 : (encoded[at + 2]! << 8) | encoded[at + 3]!)
  }
  return undefined
}

/** Four interleaved inks to three interleaved lights: what neither the ink nor black takes away. */
function cmykToRgb(inks: Uint8Array): Uint8Array {
  const count = inks.length / 4
  const lights = new Uint8Array(3 * count)
  for (let i = 0; i < count; i++) {
    const light = 255 - inks[4 * i + 3]!
    for (let c = 0; c < 3; c++) lights[3 * i + c] = light - Math.round((inks[4 * i + c]! * light) / 255)
  }
  return lights
}

/**
 * Puts what a decoder found wrong into one sentence.
 *
 * @param where file and row
 */
export function undecodable(where: string, error: unknown): InputError {
  if (error instanceof InputError) return error
  const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
  return new InputError(
    `${where}: the image cannot be decoded (${reason}): fetch the file again or leave the image out.`,
  )
}

/** Height × width × 3 to 3 × height × width. */
function toPlanar(interleaved: Uint8Array): Uint8Array {
  const plane = interleaved.length / 3
  const planar = new Uint8Array(interleaved.length)
  for (let i = 0, j = 0; i < plane; i++, j += 3) {
    planar[i] = interleaved[j]!
    planar[i + plane] = interleaved[j + 1]!
    planar[i + 2 * plane] = interleaved[j + 2]!
  }
  return planar
}

/** 3 × height × width to height × width × 3. */
function toInterleaved(planar: Uint8Array): Uint8Array {
  const plane = planar.length / 3
  const interleaved = new Uint8Array(planar.length)
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) interleaved[3 * i + c] = planar[c * plane + i]!
  return interleaved
}
