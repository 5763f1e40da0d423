import { digestOf } from '../digest.js'
import { type ImageSource, imageSize } from './image-source.js'

/** The images of a source at the given indices, in that order, without a copy of their pixels. */
export function subsetOf(source: ImageSource, indices: ArrayLike<number>, split = source.split): ImageSource {
  const chosen = Int32Array.from(indices)
  const { name, height, width, classNames } = source
  return {
    id: digestOf('subset', source.id, chosen),
    name,
    split,
    count: chosen.length,
    height,
    width,
    classNames,
    labels: chosen.map(index => source.labels[index]!),
    read: (wanted, out) =>
      source.read(
        Int32Array.from(wanted, i => chosen[i]!),
        out,
      ),
  }
}

/** What an overlay shows in place of some images. */
export interface Overlay {
  /** Which images of the source are replaced, each once. */
  readonly indices: Int32Array
  /** Their pixels, in the order of `indices`; of the source's size. */
  readonly pixels: ImageSource
  /** Their labels, in the same order. */
  readonly labels: Int32Array
}

/** A source in which some images are replaced: all others are read from where they were, nothing is copied. */
export function overlaid(source: ImageSource, { indices, pixels, labels }: Overlay): ImageSource {
  const size = imageSize(source)
  if (pixels.height !== source.height || pixels.width !== source.width || pixels.count !== indices.length)
    throw new RangeError(
      `the overlay has ${pixels.count} images of ${pixels.width}×${pixels.height}, expected ${indices.length} of ${source.width}×${source.height}`,
    )
  const place = new Map(Array.from(indices, (index, i) => [index, i]))
  const changed = source.labels.slice()
  indices.forEach((index, i) => {
    changed[index] = labels[i]!
  })
  return {
    ...source,
    id: digestOf('overlay', source.id, indices, labels, pixels.id),
    labels: changed,
    async read(wanted, out) {
      const [below, above]: [number[], number[]] = [[], []]
      for (let i = 0; i < wanted.length; i++) (place.has(wanted[i]!) ? above : below).push(i)
      const part = async (from: ImageSource, at: number[], index: (i: number) => number) => {
        if (at.length === 0) return
        const read = new Uint8Array(at.length * size)
        await from.read(
          Int32Array.from(at, i => index(wanted[i]!)),
          read,
        )
        at.forEach((i, j) => {
          out.set(read.subarray(j * size, (j + 1) * size), i * size)
        })
      }
      await Promise.all([
        part(source, below, index => index),
        part(pixels, above, index => place.get(index)!),
      ])
    },
  }
}
