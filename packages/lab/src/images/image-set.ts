/**
 * Images of one split, decoded. `pixels` holds `count` images one after the other, each channel by channel
 * (uint8, count × 3 × height × width, RGB), so that a batch is a slice of it.
 */
export interface ImageSet {
  /** Where the images came from, as a person would name it: `cifar10`. */
  readonly name: string
  /** `train`, `test`, … */
  readonly split: string
  readonly count: number
  readonly height: number
  readonly width: number
  readonly pixels: Uint8Array
  /** One class index an image. */
  readonly labels: Int32Array
  /** The name of each class, by index. */
  readonly classNames: readonly string[]
}

/** Values one image takes in `ImageSet.pixels`. */
export function imageSize(set: Pick<ImageSet, 'height' | 'width'>): number {
  return 3 * set.height * set.width
}

/** The pixels of image `index` (a view, 3 × height × width). */
export function imageAt(set: ImageSet, index: number): Uint8Array {
  const size = imageSize(set)
  return set.pixels.subarray(index * size, (index + 1) * size)
}
