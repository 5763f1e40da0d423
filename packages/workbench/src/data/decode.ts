import type { ImageSize } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import sharp, { type OutputInfo, type Sharp } from 'sharp'
import { colourUnderneath } from './gif-transparency.js'
import { readImageHeader } from './image-header.js'
import { upscalerFor } from './upscale.js'

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
  const header = readImageHeader(encoded)
  const { plain } = header
  // Reading the header in full costs as much as decoding a small image, so it is done only where it tells something.
  const known = header.inks === undefined || header.mayHavePages || header.mayBeTransparent
  const { space, pages: frames = 1, hasAlpha = false } = known ? await sharp(encoded, reading).metadata() : {}
  if (header.inks || space === 'cmyk') return { ...(await decodeInks(encoded, size)), frames }
  if (hasAlpha) return { ...(await decodeTransparent(encoded, size)), frames }
  const upscale = plain && size && isLarger(size, plain) ? await upscalerFor(plain, size) : undefined
  if (!upscale || !size) return { ...(await toRgb(sharp(encoded, reading).autoOrient(), size)), frames }
  const { data, info } = await rawRgb(sharp(encoded, reading))
  if (info.height !== plain?.height || info.width !== plain.width)
    throw new Error(`it decodes to ${info.width}×${info.height} pixels, but declares other ones`)
  return { height: size.height, width: size.width, pixels: upscale(data), frames }
}

/** `decodeRgb` of a picture that a person gives, as stored. */
export const decodePicture = (encoded: Uint8Array): Promise<RgbImage> => decodeRgb(encoded)

/**
 * As `decodePicture`, but transparency becomes white, as `do_convert_rgb` of `transformers` asks for: the bytes of
 * Pillow's `alpha_composite`.
 */
export async function decodeOnWhite(encoded: Uint8Array): Promise<RgbImage> {
  const { hasAlpha, pages = 1 } = await sharp(encoded, reading).metadata()
  if (!hasAlpha) return decodePicture(encoded)
  const { data, info } = await sharp(encoded, reading)
    .autoOrient()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
  if (info.channels !== 4) throw new Error(`it decodes to ${info.channels} channels`)
  return { height: info.height, width: info.width, pixels: toPlanar(overWhite(data)), frames: pages }
}

/** Four interleaved channels, the last being opacity, to three over white. */
function overWhite(rgba: Uint8Array): Uint8Array {
  const count = rgba.length / 4
  const rgb = new Uint8Array(3 * count)
  for (let i = 0; i < count; i++) {
    const alpha = rgba[4 * i + 3]!
    for (let c = 0; c < 3; c++) {
      // In units of 1/128, with half a unit of the result added; (x / 256 + x) / 256 is Pillow's division by 255.
      const sum = 128 * (rgba[4 * i + c]! * alpha + 255 * (255 - alpha) + 128)
      rgb[3 * i + c] = alpha === 0 ? 255 : ((sum >> 8) + sum) >> 15
    }
  }
  return rgb
}

/**
 * Resizes RGB values as `decodeRgb` does.
 *
 * @param planar uint8, 3 × height × width
 */
export async function resizeRgb(planar: Uint8Array, from: ImageSize, to: ImageSize): Promise<Uint8Array> {
  return isEqual(from, to) ? planar : resized(toInterleaved(planar), from, to)
}

async function resized(interleaved: Uint8Array, from: ImageSize, to: ImageSize): Promise<Uint8Array> {
  const upscale = isLarger(to, from) ? await upscalerFor(from, to) : undefined
  if (upscale) return upscale(interleaved)
  const raw = { width: from.width, height: from.height, channels: 3 } as const
  return (await toRgb(sharp(interleaved, { raw }), to)).pixels
}

const isEqual = (a: ImageSize, b: ImageSize) => a.height === b.height && a.width === b.width
const isLarger = (a: ImageSize, b: ImageSize) => a.height > b.height && a.width > b.width

async function toRgb(image: Sharp, size: ImageSize | undefined): Promise<ImageSize & { pixels: Uint8Array }> {
  const sized = size
    ? image.resize({ width: size.width, height: size.height, fit: 'fill', kernel: 'lanczos3' })
    : image
  const { data, info } = await rawRgb(sized)
  return { height: info.height, width: info.width, pixels: toPlanar(data) }
}

/** Interleaved RGB. */
async function rawRgb(image: Sharp): Promise<{ data: Uint8Array; info: OutputInfo }> {
  const { data, info } = await image
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
  if (info.channels !== 3) throw new Error(`it decodes to ${info.channels} channels`)
  return { data, info }
}

/** Transparency is dropped before the image is resized: otherwise it would be weighed by its opacity. */
async function decodeTransparent(
  encoded: Uint8Array,
  size: ImageSize | undefined,
): Promise<ImageSize & { pixels: Uint8Array }> {
  const image = sharp(encoded, reading).autoOrient()
  const underneath = colourUnderneath(encoded)
  const { data, info } = await rawRgb(underneath ? image.flatten({ background: underneath }) : image)
  return toSize(data, info, size)
}

async function decodeInks(
  encoded: Uint8Array,
  size: ImageSize | undefined,
): Promise<ImageSize & { pixels: Uint8Array }> {
  const { data, info } = await sharp(encoded, reading)
    .autoOrient()
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw()
    .toBuffer({ resolveWithObject: true })
  const lights = cmykToRgb(data)
  return toSize(lights, info, size)
}

async function toSize(
  interleaved: Uint8Array,
  { height, width }: ImageSize,
  size: ImageSize | undefined,
): Promise<ImageSize & { pixels: Uint8Array }> {
  if (!size || isEqual(size, { height, width })) return { height, width, pixels: toPlanar(interleaved) }
  return {
    height: size.height,
    width: size.width,
    pixels: await resized(interleaved, { height, width }, size),
  }
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
