import { constants, writeSync } from 'node:fs'
import { type FileHandle, open, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureFolder } from '../files/write-file.js'
import type { Monitor } from '../runs/monitor.js'
import { cacheFolder, checksum, checksumBytes } from './cache.js'
import { once } from './once.js'
import { inParallel } from './parallel.js'

/** Whole files are read in pieces of about this size. */
const pieceBytes = 2 ** 23
/** So much of a disk is left to others. */
const spareBytes = 2 ** 28

/** Single images are read so many at a time. */
const readsAtOnce = 16

const absent = Buffer.alloc(checksumBytes)

/**
 * Decoded images of one split in the cache folder, put there one by one as they are needed: `ID.pixels` has room for
 * all (a sparse file, where the file system has those), `ID.sums` a checksum for each that is there and zeros for the
 * others.
 *
 * An image counts as there only if its checksum fits its pixels, which is tried at the first reading in a process. So
 * the order in which writes reach the disk does not matter, a process may be ended at any moment, damage is noticed
 * and mended by decoding again, and two processes may fill one file: they write the same bytes.
 */
export class PixelFile {
  /** Checksums as they were found or written. */
  readonly #sums: Buffer
  /** 1 for each image whose pixels were seen to fit their checksum. */
  readonly #seen: Uint8Array
  #writable = true

  private constructor(
    private readonly stem: string,
    private readonly count: number,
    /** Values an image. */
    private readonly size: number,
    private readonly monitor: Monitor,
  ) {
    this.#sums = Buffer.alloc(count * checksumBytes)
    this.#seen = new Uint8Array(count)
  }

  /** Opens the file of the decoded images that `id` names, or a new one. */
  static async open(id: string, count: number, size: number, monitor: Monitor): Promise<PixelFile> {
    const file = new PixelFile(join(cacheFolder(), `pixels-${id.slice(0, 32)}`), count, size, monitor)
    await file.#load()
    return file
  }

  /** Whether all images are there, as far as checksums tell. */
  get isComplete(): boolean {
    for (let i = 0; i < this.count; i++) if (!this.#has(i)) return false
    return true
  }

  /**
   * Reads images, each to its place: image `indices[i]` to `out` at `places[i]` × size.
   * @returns the positions i of those that are not there
   */
  async read(indices: readonly number[], places: readonly number[], out: Uint8Array): Promise<number[]> {
    const { size } = this
    const missing = new Set<number>()
    await this.#withFiles('r', async (pixels, sums) => {
      await this.#refresh(sums, indices)
      const runs = runsOf(
        [...indices.keys()].filter(i => this.#has(indices[i]!) || !missing.add(i)),
        (i, before) => indices[i] === indices[before]! + 1 && places[i] === places[before]! + 1,
      )
      await inParallel(runs, readsAtOnce, async run => {
        const [first, last] = [run[0]!, run.at(-1)!]
        const part = out.subarray(places[first]! * size, (places[last]! + 1) * size)
        await readFully(pixels, part, indices[first]! * size)
        for (const i of run) {
          const image = out.subarray(places[i]! * size, (places[i]! + 1) * size)
          if (!this.#isSound(indices[i]!, image)) missing.add(i)
        }
      })
    }).catch(() => {
      // Not there, cut short or unreadable: either way the files that it was made from still are.
      for (const i of indices.keys()) missing.add(i)
    })
    return [...missing].sort((a, b) => a - b)
  }

  /**
   * Reads all images that are there to `out` (count × size).
   * @returns 1 for each that was there
   */
  async readPresent(out: Uint8Array): Promise<Uint8Array> {
    const { size, count } = this
    const atOnce = Math.max(1, Math.floor(pieceBytes / size))
    const present = new Uint8Array(count)
    for (let start = 0; start < count; start += atOnce) {
      const indices = Array.from({ length: Math.min(atOnce, count - start) }, (_, i) => start + i).filter(i =>
        this.#has(i),
      )
      const missing = new Set(await this.read(indices, indices, out))
      for (const [i, index] of indices.entries()) if (!missing.has(i)) present[index] = 1
    }
    return present
  }

  /** Keeps decoded images. If that fails, it is said once and not tried again. */
  async write(images: readonly { readonly index: number; readonly pixels: Uint8Array }[]): Promise<void> {
    if (!this.#writable || images.length === 0) return
    try {
      await this.#withFiles('r+', async (pixels, sums) => {
        const ordered = images.toSorted((a, b) => a.index - b.index)
        for (const run of runsOf(ordered, (image, before) => image.index === before.index + 1)) {
          const first = run[0]!.index
          const found = run.map(image => checksum(image.pixels))
          await writeFully(pixels, joined(run.map(image => image.pixels)), first * this.size)
          // So few bytes are written sooner than handed to another thread.
          writeSync(sums.fd, joined(found), 0, found.length * checksumBytes, first * checksumBytes)
          for (const [i, sum] of found.entries()) this.#sum(first + i).set(sum)
          this.#seen.fill(1, first, first + run.length)
        }
      })
    } catch (error) {
      const { code = String(error) } = error as NodeJS.ErrnoException
      // A folder that was removed meanwhile is made again by the next process.
      this.#giveUp(`${cacheFolder()} cannot be written (${code})`)
    }
  }

  #has(index: number): boolean {
    return this.#sum(index).compare(absent) !== 0
  }

  #sum(index: number): Buffer {
    return this.#sums.subarray(index * checksumBytes, (index + 1) * checksumBytes)
  }

  #isSound(index: number, pixels: Uint8Array): boolean {
    if (!this.#has(index)) return false
    if (this.#seen[index]) return true
    const isSound = checksum(pixels).equals(this.#sum(index))
    if (isSound) this.#seen[index] = 1
    else this.#sum(index).fill(0)
    return isSound
  }

  /** Looks whether another process has put there meanwhile what is missing of these images. */
  async #refresh(sums: FileHandle, indices: readonly number[]): Promise<void> {
    const wanted = indices.filter(index => !this.#has(index))
    if (wanted.length === 0) return
    const [first, last] = wanted.reduce(
      ([low, high], index) => [Math.min(low, index), Math.max(high, index)],
      [Number.POSITIVE_INFINITY, 0],
    )
    // One read for all: many small ones would queue behind the images that are being decoded.
    const found = Buffer.alloc((last - first + 1) * checksumBytes)
    await readFully(sums, found, first * checksumBytes)
    for (const index of wanted) {
      const at = (index - first) * checksumBytes
      this.#sum(index).set(found.subarray(at, at + checksumBytes))
    }
  }

  async #load(): Promise<void> {
    const { count, size } = this
    try {
      await ensureFolder(cacheFolder())
      for (const [path, length] of [
        [this.#path('sums'), count * checksumBytes],
        [this.#path('pixels'), count * size],
      ] as const) {
        const handle = await open(path, constants.O_RDWR | constants.O_CREAT)
        try {
          // Others may do the same at the same time: to the same length.
          if ((await handle.stat()).size !== length) await handle.truncate(length)
        } finally {
          await handle.close()
        }
      }
    } catch (error) {
      // A cache that others filled may be there to read nevertheless.
      this.#writable = false
      if (!(await this.#loadSums()) || !this.isComplete)
        this.#giveUp(`${cacheFolder()} cannot be written (${(error as NodeJS.ErrnoException).code})`)
      return
    }
    await this.#loadSums()
    await this.#checkSpace()
  }

  async #loadSums(): Promise<boolean> {
    try {
      await this.#withFiles('r', (_, sums) => readFully(sums, this.#sums, 0))
      return true
    } catch {
      this.#sums.fill(0)
      return false
    }
  }

  async #checkSpace(): Promise<void> {
    let wanted = 0
    for (let i = 0; i < this.count; i++) if (!this.#has(i)) wanted += this.size
    const { bavail, bsize } = await statfs(cacheFolder())
    if (wanted + spareBytes <= bavail * bsize || wanted === 0) return
    const [needed, free] = [wanted, bavail * bsize].map(bytes => `${(bytes / 1e9).toFixed(1)} GB`)
    this.#giveUp(`the decoded images take ${needed} and ${cacheFolder()} has ${free} left`)
  }

  #giveUp(reason: string): void {
    this.#writable = false
    once(
      this.monitor,
      `Decoded images are not kept, as ${reason}: each is decoded again when it is needed. Set AGEB_CACHE to another folder to change that.`,
    )
  }

  #path(ending: 'pixels' | 'sums'): string {
    return `${this.stem}.${ending}`
  }

  async #withFiles<T>(
    flags: 'r' | 'r+',
    use: (pixels: FileHandle, sums: FileHandle) => Promise<T>,
  ): Promise<T> {
    // Opened for every use: a source may be dropped without a word.
    const pixels = await open(this.#path('pixels'), flags)
    try {
      const sums = await open(this.#path('sums'), flags)
      try {
        return await use(pixels, sums)
      } finally {
        await sums.close()
      }
    } finally {
      await pixels.close()
    }
  }
}

/** Consecutive items that follow each other as `follows` has it, in groups. */
function runsOf<T>(items: readonly T[], follows: (item: T, before: T) => boolean): T[][] {
  const runs: T[][] = []
  for (const item of items) {
    const run = runs.at(-1)
    if (run && follows(item, run.at(-1)!)) run.push(item)
    else runs.push([item])
  }
  return runs
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** Node reads and writes at most 2 GiB at once. */
const atMost = 2 ** 30

async function readFully(handle: FileHandle, out: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < out.length; ) {
    const { bytesRead } = await handle.read(out, at, Math.min(atMost, out.length - at), position + at)
    if (bytesRead === 0) throw new Error('the file is too short')
    at += bytesRead
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, Math.min(atMost, bytes.length - at), position + at)
    at += bytesWritten
  }
}
