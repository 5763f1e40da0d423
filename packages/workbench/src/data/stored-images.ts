import type { ImageSize } from '@ageb/lab'
import type { Monitor } from '../runs/monitor.js'
import type { RgbImage } from './decode.js'

/** What long work on a data set is watched and stopped by. */
export interface Watched {
  readonly monitor: Monitor
  readonly signal?: AbortSignal | undefined
}

/** The images of a split as they are stored: encoded, in whatever files, each to be had by its index. */
export interface StoredImages {
  readonly count: number
  /** Digest of what the files hold, in order, hexadecimal. They are read for it, if they are not known. */
  id(watched: Watched): Promise<string>
  /** File and row of an image, for messages. */
  where(index: number): string
  /** Makes single images quick to get. Done once, before the first is decoded. */
  prepare(watched: Watched): Promise<void>
  /**
   * Decodes one image, resized to `size`, or as stored.
   * @throws InputError that names file and row
   */
  decode(index: number, size: ImageSize | undefined): Promise<RgbImage>
}

/** What a split says of its classes. */
export type Classes =
  /** All its classes, in the order of its labels. */
  | { readonly kind: 'declared'; readonly names: readonly string[] }
  /** The names that occur, sorted: there may be others. */
  | { readonly kind: 'found'; readonly names: readonly string[] }
  /** Nothing but numbers, up to one less than `count`. */
  | { readonly kind: 'numbered'; readonly count: number }

/** A split, before its classes are agreed with those of others. */
export interface StoredSplit {
  /** The data set, as a person would name it. */
  readonly name: string
  /** Which split was taken, by its own name. */
  readonly split: string
  readonly images: StoredImages
  readonly labels: Int32Array
  readonly classes: Classes
}
