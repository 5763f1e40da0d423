import { type FileHandle, open, readFile, stat } from 'node:fs/promises'
import { InputError } from 'onnxgrad'

/** Files up to this size are read into memory as a whole; of larger ones, only the records that are asked for. */
const RESIDENT_BYTES = 2 ** 27

/** Bytes of memory that an open file of `count` records takes. */
export function residentRecordBytes(count: number, size: number): number {
  return count * size <= RESIDENT_BYTES ? count * size : 0
}

/** Writes records one after another into a new file. */
export async function writeRecords(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'wx')
  try {
    for await (const piece of pieces) await file.writeFile(piece)
  } finally {
    await file.close()
  }
}

/** Reads the records at `indices`, one after another, into `out`. */
export type ReadRecords = (indices: ArrayLike<number>, out: Uint8Array) => Promise<void>

/**
 * Opens a file of equally long records for reading in any order.
 * @throws InputError if it does not hold `count` records of `size` bytes
 */
export async function openRecords(path: string, count: number, size: number): Promise<ReadRecords> {
  const { size: bytes } = await stat(path)
  if (bytes !== count * size)
    throw new InputError(`${path} has ${bytes} bytes where ${count * size} are expected: delete it`)
  if (residentRecordBytes(count, size) > 0) {
    const all = await readFile(path)
    return async (indices, out) => {
      for (let i = 0; i < indices.length; i++) {
        const start = indices[i]! * size
        out.set(all.subarray(start, start + size), i * size)
      }
    }
  }
  const file = await open(path, 'r')
  return async (indices, out) => {
    // Neighbours are read at once: batches of a split in its own order are one read.
    for (let i = 0; i < indices.length; ) {
      let next = i + 1
      while (next < indices.length && indices[next] === indices[next - 1]! + 1) next++
      await readExactly(file, out.subarray(i * size, next * size), indices[i]! * size, path)
      i = next
    }
  }
}

async function readExactly(file: FileHandle, out: Uint8Array, position: number, path: string): Promise<void> {
  for (let done = 0; done < out.length; ) {
    const { bytesRead } = await file.read(out, done, Math.min(out.length - done, 2 ** 30), position + done)
    if (bytesRead === 0) throw new InputError(`${path} became shorter while it was read: delete it`)
    done += bytesRead
  }
}
