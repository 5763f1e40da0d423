import { digestOf, type ImageSize, type ImageSource, imageSize } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import sharp from 'sharp'
import { PixelFile } from './pixel-file.js'
import type { StoredSplit, Watched } from './stored-images.js'

/** Raise it whenever the same files would decode to other bytes. */
const decoderVersion = 3

/** Splits that take no more than this decoded are kept in memory. */
const residentLimit = 2 ** 28

/** Bytes of memory that a split of `count` decoded images takes: all of it where it is small, else nothing. */
export function residentBytes(count: number, size: ImageSize): number {
  const bytes = count * imageSize(size)
  return bytes <= residentLimit ? bytes : 0
}

/** Decoded images are written in pieces of about this size. */
const keptBytes = 2 ** 25

/** Twice as many as libuv has threads, so that none waits for JavaScript; more would only hold more memory. */
const inFlight = 2 * (Number(process.env.UV_THREADPOOL_SIZE) || 4)

/**
 * A stored split as a source. Its images are decoded when they are first read and kept in a file of the cache folder
 * (see `PixelFile`); a split of up to 256 MiB decoded is also kept in memory, of a larger one nothing is.
 *
 * @param agreed the labels and names of classes that the source shall have
 * @param side height and width to resize to; as stored if not given, and then all must be of one size
 * @throws InputError if the first image cannot be decoded where it decides the size
 */
export async function sourceOf(
  { name, split, images }: StoredSplit,
  agreed: Pick<ImageSource, 'labels' | 'classNames'>,
  side: number | undefined,
  watched: Watched,
): Promise<ImageSource> {
  const { monitor } = watched
  const { count } = images
  if (side === undefined) await images.prepare(watched)
  const size = side === undefined ? await sizeOfFirst(images) : { height: side, width: side }
  const { height, width } = size
  const values = imageSize(size)
  const { vips } = sharp.versions
  const stored = await images.id(watched)
  const pixelsId = digestOf('decoded', decoderVersion, vips, stored, [height, width], side === undefined)
  const file = await PixelFile.open(pixelsId, count, values, monitor)
  if (!file.isComplete) await images.prepare(watched)

  const resident = residentBytes(count, size) > 0 ? new ResidentPixels(count, values, file) : undefined
  const underWay = new Map<number, Promise<Uint8Array>>()

  let saidFrames = false
  const decode = async (index: number): Promise<Uint8Array> => {
    const image = await throttled(() => images.decode(index, side === undefined ? undefined : size))
    if (image.height !== height || image.width !== width) {
      throw new InputError(
        `${images.where(index)}: the image is ${image.width}×${image.height} pixels but the first is ` +
          `${width}×${height}: give a size to resize all to.`,
      )
    }
    if (image.frames > 1 && !saidFrames) {
      saidFrames = true
      monitor.say(
        `${name}: some images of the split '${split}' have several frames, such as ${images.where(index)}: the first of each is taken.`,
      )
    }
    return image.pixels
  }
  /** Decodes an image once, though several reads may want it at the same time. */
  const decodeOnce = (index: number): Promise<Uint8Array> => {
    const begun = underWay.get(index) ?? decode(index)
    underWay.set(index, begun)
    return begun
  }
  /** Decodes images to their places and keeps them: of those that can be decoded, if one cannot. */
  const make = async (indices: readonly number[], places: readonly number[], out: Uint8Array) => {
    const results = await Promise.allSettled(indices.map(decodeOnce))
    const made = results.flatMap((result, i) =>
      result.status === 'fulfilled' ? [{ index: indices[i]!, place: places[i]!, pixels: result.value }] : [],
    )
    for (const { index, place, pixels } of made) {
      out.set(pixels, place * values)
      resident?.put(index, pixels)
    }
    await file.write(made)
    for (const index of indices) underWay.delete(index)
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  return {
    id: digestOf('split', pixelsId, agreed.labels, [...agreed.classNames]),
    name,
    split,
    count,
    height,
    width,
    ...agreed,
    async read(indices, out) {
      checkRead(indices, out, count, values)
      let places = Array.from({ length: indices.length }, (_, i) => i)
      if (resident) {
        await resident.loaded()
        places = places.filter(place => !resident.get(indices[place]!, out, place))
      }
      if (places.length === 0) return
      const wanted = places.map(place => indices[place]!)
      const missing = new Set(await file.read(wanted, places, out))
      if (resident)
        for (const [i, place] of places.entries())
          if (!missing.has(i)) resident.put(wanted[i]!, out.subarray(place * values, (place + 1) * values))
      const atOnce = Math.max(16, Math.min(1024, Math.floor(keptBytes / values)))
      const left = [...missing]
      for (let at = 0; at < left.length; at += atOnce) {
        const part = left.slice(at, at + atOnce)
        await make(
          part.map(i => wanted[i]!),
          part.map(i => places[i]!),
          out,
        )
      }
    },
  }
}

async function sizeOfFirst(images: StoredSplit['images']): Promise<ImageSize> {
  const { height, width } = await images.decode(0, undefined)
  return { height, width }
}

function checkRead(indices: ArrayLike<number>, out: Uint8Array, count: number, values: number): void {
  if (out.length !== indices.length * values)
    throw new RangeError(`${indices.length} images take ${indices.length * values} values, not ${out.length}`)
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!
    if (!(Number.isInteger(index) && index >= 0 && index < count))
      throw new RangeError(`there is no image ${index} among ${count}`)
  }
}

/** The decoded images of a small split, as far as they are known. */
class ResidentPixels {
  #pixels = new Uint8Array(0)
  #has: Uint8Array = new Uint8Array(0)
  #loading: Promise<void> | undefined

  constructor(
    private readonly count: number,
    private readonly values: number,
    private readonly file: PixelFile,
  ) {}

  /** Takes in all that the file has, once. */
  loaded(): Promise<void> {
    this.#loading ??= (async () => {
      this.#pixels = new Uint8Array(this.count * this.values)
      this.#has = await this.file.readPresent(this.#pixels)
    })()
    return this.#loading
  }

  put(index: number, pixels: Uint8Array): void {
    this.#pixels.set(pixels, index * this.values)
    this.#has[index] = 1
  }

  /** Copies an image to a place of `out`; false if it is not known. */
  get(index: number, out: Uint8Array, place: number): boolean {
    if (this.#has[index] !== 1) return false
    out.set(this.#pixels.subarray(index * this.values, (index + 1) * this.values), place * this.values)
    return true
  }
}

let running = 0
const waiting: (() => void)[] = []

/** Runs a task when fewer than `inFlight` others run, of whatever source. */
async function throttled<T>(task: () => Promise<T>): Promise<T> {
  if (running >= inFlight) await new Promise<void>(resume => waiting.push(resume))
  else running++
  try {
    return await task()
  } finally {
    // Whoever waits takes over the place.
    const next = waiting.shift()
    if (next) next()
    else running--
  }
}
