import { createHash } from 'node:crypto'
import { close, openSync, read } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder, checksum, checksumBytes, writeCacheFile } from './cache.js'

/** Pieces of this size are written. */
const pieceBytes = 2 ** 22
const sealBytes = 32

/**
 * Byte strings, one after another in `encoded-ID.bin` of the cache folder, each to be had by its index.
 * `encoded-ID.index` has where each begins (count + 1 float64), a checksum of each, and its own SHA-256; it is written
 * last, so that without it there is nothing.
 */
export class PackedFile {
  private constructor(
    private readonly descriptor: number,
    private readonly offsets: Float64Array,
    private readonly sums: Buffer,
  ) {
    dropped.register(this, descriptor)
  }

  /** The file that `id` names, or undefined if it is not there whole. */
  static async open(id: string, count: number): Promise<PackedFile | undefined> {
    const { data, index } = pathsOf(id)
    try {
      const length = 8 * (count + 1) + checksumBytes * count
      if ((await stat(index)).size !== length + sealBytes) return undefined
      const bytes = await readFile(index)
      if (!sha256(bytes.subarray(0, length)).equals(bytes.subarray(length))) return undefined
      const offsets = new Float64Array(count + 1)
      new Uint8Array(offsets.buffer).set(bytes.subarray(0, offsets.byteLength))
      if ((await stat(data)).size !== offsets[count]) return undefined
      return new PackedFile(openSync(data, 'r'), offsets, bytes.subarray(offsets.byteLength, length))
    } catch {
      // Not there or unreadable: either way the files that it was made from still are.
      return undefined
    }
  }

  /**
   * Writes `items` in their order. Two processes may do so at the same time.
   * @throws Error of the file system, or whatever `items` throws
   */
  static async write(id: string, count: number, items: AsyncIterable<Uint8Array>): Promise<void> {
    const { data, index } = pathsOf(id)
    const offsets = new Float64Array(count + 1)
    const sums: Buffer[] = []
    await writeCacheFile(data, async handle => {
      let [end, held, pieces]: [number, number, Uint8Array[]] = [0, 0, []]
      const flush = async () => {
        if (held > 0) await handle.writeFile(Buffer.concat(pieces))
        ;[held, pieces] = [0, []]
      }
      for await (const item of items) {
        pieces.push(item)
        sums.push(checksum(item))
        held += item.length
        end += item.length
        offsets[sums.length] = end
        if (held >= pieceBytes) await flush()
      }
      await flush()
      if (sums.length !== count) throw new Error(`${sums.length} items where ${count} are expected`)
    })
    await writeCacheFile(index, async handle => {
      const bytes = Buffer.concat([new Uint8Array(offsets.buffer), ...sums])
      await handle.writeFile(Buffer.concat([bytes, sha256(bytes)]))
    })
  }

  /** One item, or undefined if it is damaged or gone. */
  async read(index: number): Promise<Uint8Array | undefined> {
    const [start, end] = [this.offsets[index]!, this.offsets[index + 1]!]
    const sum = this.sums.subarray(index * checksumBytes, (index + 1) * checksumBytes)
    const bytes = new Uint8Array(end - start)
    try {
      const { bytesRead } = await readAt(this.descriptor, bytes, 0, bytes.length, start)
      return bytesRead === bytes.length && checksum(bytes).equals(sum) ? bytes : undefined
    } catch {
      return undefined
    }
  }
}

const readAt = promisify(read)

/** A packed file is dropped without a word, and with it goes its descriptor. */
const dropped = new FinalizationRegistry<number>(descriptor => close(descriptor))

function pathsOf(id: string): { data: string; index: string } {
  const stem = join(cacheFolder(), `encoded-${id.slice(0, 32)}`)
  return { data: `${stem}.bin`, index: `${stem}.index` }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
