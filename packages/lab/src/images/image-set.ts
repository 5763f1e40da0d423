import { digestOf } from '../digest.js'
import { type ImageSize, type ImageSource, imageSize, type PixelSource } from './image-source.js'

/** An image source that is held in memory whole. */
export interface ImageSet extends ImageSource {
  /** uint8, count × 3 × height × width: a batch is a slice of it. */
  readonly pixels: Uint8Array
}

/** What an image set is made of. */
export type ImageSetParts = Omit<ImageSet, 'id' | 'count' | 'read'>

/**
 * A source of images that are in memory.
 * @throws RangeError if pixels and labels are not of equally many images
 */
export function imagesInMemory(parts: ImageSetParts): ImageSet {
  const { height, width, pixels, labels, classNames } = parts
  const size = imageSize(parts)
  const count = labels.length
  if (pixels.length !== count * size)
    throw new RangeError(
      `${count} images of ${width}×${height} take ${count * size} values, not ${pixels.length}`,
    )
  let id: string | undefined
  return {
    ...parts,
    ...pixelsInMemory(pixels, parts),
    // Only stored work asks for it, and large sets take a while.
    get id() {
      id ??= digestOf('images', [height, width], classNames, labels, pixels)
      return id
    },
  }
}

/** Pixels that are in memory, without labels: count × 3 × height × width, uint8. */
export function pixelsInMemory(pixels: Uint8Array, { height, width }: ImageSize): PixelSource {
  const size = imageSize({ height, width })
  return {
    count: pixels.length / size,
    height,
    width,
    async read(indices, out) {
      for (let i = 0; i < indices.length; i++) {
        const index = indices[i]!
        out.set(pixels.subarray(index * size, (index + 1) * size), i * size)
      }
    },
  }
}

/** The pixels of image `index` (a view, 3 × height × width). */
export function imageAt(set: ImageSet, index: number): Uint8Array {
  const size = imageSize(set)
  return set.pixels.subarray(index * size, (index + 1) * size)
}

/** Takes a source into memory whole. */
export async function readAll(source: ImageSource): Promise<ImageSet> {
  const { name, split, height, width, labels, classNames } = source
  const pixels = new Uint8Array(source.count * imageSize(source))
  await source.read(
    Array.from({ length: source.count }, (_, i) => i),
    pixels,
  )
  return imagesInMemory({ name, split, height, width, labels, classNames, pixels })
}
