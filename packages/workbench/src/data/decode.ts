import { InputError } from 'onnxgrad'
import sharp from 'sharp'
import type { EncodedBatch } from './parquet.js'

/** Height and width in pixels. */
export interface PixelSize {
  readonly height: number
  readonly width: number
}

/** One decoded image: uint8, 3 × height × width, RGB. */
export interface RgbImage extends PixelSize {
  readonly pixels: Uint8Array
}

/** Larger images are refused before they are decoded: 64 megapixels, 200 MB as RGB. */
const maxPixels = 2 ** 26

/** Enough that libuv's four threads never wait for JavaScript; more would only hold more memory. */
const inFlight = 8

// Many small images are decoded at once, and none twice: threads within one, or a cache, would only cost.
sharp.concurrency(1)
sharp.cache(false)

/** What every decoding asks for. A colour profile is ignored, as Pillow does, whose values models are trained on. */
const reading = { limitInputPixels: maxPixels, failOn: 'error', ignoreIcc: true } as const

/**
 * Decodes one encoded image (PNG, JPEG, WebP, …) to RGB. Grey becomes RGB, transparency is dropped (not
 * blended), and an orientation in the file's metadata is applied, as the Hugging Face loaders do.
 *
 * @param size resize to this with Lanczos3, ignoring the aspect ratio; as stored if not given
 * @throws Error of the decoder if the bytes are no image, are damaged or have more than 64 megapixels
 */
export async function decodeRgb(encoded: Uint8Array, size?: PixelSize): Promise<RgbImage> {
  let image = sharp(encoded, reading).autoOrient()
  if (size) image = image.resize({ width: size.width, height: size.height, fit: 'fill', kernel: 'lanczos3' })
  const { data, info } = await image
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
  if (info.channels !== 3) throw new Error(`it decodes to ${info.channels} channels`)
  return { height: info.height, width: info.width, pixels: toPlanar(data) }
}

/**
 * As `decodeRgb`, and CMYK too becomes the bytes that Pillow's `convert('RGB')` makes of it. It reads the header
 * twice, which is too slow for data sets of small images.
 *
 * @throws Error as `decodeRgb`
 */
export async function decodePicture(encoded: Uint8Array): Promise<RgbImage> {
  const { space } = await sharp(encoded, reading).metadata()
  if (space !== 'cmyk') return decodeRgb(encoded)
  const { data, info } = await sharp(encoded, reading)
    .autoOrient()
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw()
    .toBuffer({ resolveWithObject: true })
  return { height: info.height, width: info.width, pixels: cmykToRgb(data) }
}

/** Four interleaved inks to three planes of light: what neither the ink nor black takes away. */
function cmykToRgb(inks: Uint8Array): Uint8Array {
  const plane = inks.length / 4
  const pixels = new Uint8Array(3 * plane)
  for (let i = 0; i < plane; i++) {
    const light = 255 - inks[4 * i + 3]!
    for (let c = 0; c < 3; c++) pixels[c * plane + i] = light - Math.round((inks[4 * i + c]! * light) / 255)
  }
  return pixels
}

/**
 * Decodes the images of a batch into `pixels` in order (each 3 × height × width), a few at a time.
 *
 * @param batch the images
 * @param path the file they are from, for messages
 * @param size what they must measure; with `resize` what they are made to measure
 * @param pixels as many bytes as the batch fills
 * @param decoded called after each image
 * @throws InputError that names file and row if an image cannot be decoded or is of another size
 */
export async function decodeBatch(
  batch: EncodedBatch,
  path: string,
  { size, resize }: { size: PixelSize; resize: boolean },
  pixels: Uint8Array,
  decoded: () => void,
): Promise<void> {
  const length = 3 * size.height * size.width
  let next = 0
  let failed = false
  const worker = async () => {
    while (next < batch.images.length && !failed) {
      const index = next++
      const where = `${path}, row ${batch.firstRow + index}`
      try {
        const image = await decodeRow(batch.images[index]!, where, resize ? size : undefined)
        if (image.height !== size.height || image.width !== size.width) {
          throw new InputError(
            `${where}: the image is ${image.width}×${image.height} pixels but the first is ` +
              `${size.width}×${size.height}: give a size to resize all to.`,
          )
        }
        pixels.set(image.pixels, index * length)
        decoded()
      } catch (error) {
        // Lets the other workers stop, so that nothing runs on after the batch has been given up.
        failed = true
        throw error
      }
    }
  }
  const results = await Promise.allSettled(Array.from({ length: inFlight }, worker))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/**
 * As `decodeRgb`, for one row of a file.
 *
 * @param where file and row, for the message
 * @throws InputError
 */
export async function decodeRow(encoded: Uint8Array, where: string, size?: PixelSize): Promise<RgbImage> {
  try {
    return await decodeRgb(encoded, size)
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw new InputError(
      `${where}: the image cannot be decoded (${reason}): fetch the file again or leave the row out.`,
    )
  }
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
