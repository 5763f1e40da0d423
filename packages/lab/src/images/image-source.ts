/** Height and width in pixels. */
export interface ImageSize {
  readonly height: number
  readonly width: number
}

/**
 * The images of one split, on disk, in memory, or made from another source: read in pieces, so that a split may be
 * larger than memory. Pixels are uint8, RGB, channel by channel (3 × height × width an image).
 */
export interface ImageSource extends ImageSize {
  /** Digest of all that decides pixels, labels and class names, hexadecimal: equal ids have equal images. */
  readonly id: string
  /** Where the images came from, as a person would name it: `cifar10`. */
  readonly name: string
  /** `train`, `test`, … */
  readonly split: string
  readonly count: number
  /** One class index an image. */
  readonly labels: Int32Array
  /** The name of each class, by index. */
  readonly classNames: readonly string[]
  /**
   * Writes the pixels of the images at `indices` to `out`, one image after another. Several reads may be under way at
   * the same time, each with an `out` of its own.
   *
   * @throws InputError if an image cannot be decoded, naming its file and row
   */
  read(indices: ArrayLike<number>, out: Uint8Array): Promise<void>
}

/** What is needed of a source where labels do not matter. */
export type PixelSource = Pick<ImageSource, 'read' | 'count' | 'height' | 'width'>

/** Values that one image takes: 3 × height × width. */
export function imageSize({ height, width }: ImageSize): number {
  return 3 * height * width
}
