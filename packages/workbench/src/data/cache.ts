import { createHash, randomUUID } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import envPaths from 'env-paths'
import { ensureFolder } from '../files/write-file.js'

/** The folder of decoded images: `AGEB_CACHE`, else the user's cache folder as the platform has it. */
export function cacheFolder(): string {
  return process.env.AGEB_CACHE || envPaths('ageb', { suffix: '' }).cache
}

/** Bytes of a checksum. */
export const checksumBytes = 8

/**
 * The first eight bytes of the SHA-256: enough to notice damage. CRC-32 would do, but not every version of Node that
 * is supported has one, and where the processor has instructions for SHA-256 it costs 0.1 ms for 150 KB.
 */
export function checksum(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, checksumBytes)
}

/**
 * Writes a file of the cache whole or not at all: beside its place, then renamed. Several processes may do so at the
 * same time; what processes of this machine that were ended left beside it is removed.
 *
 * @throws Error of the file system, or whatever `write` throws
 */
export async function writeCacheFile(
  path: string,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  await ensureFolder(dirname(path))
  await removeOrphans(path)
  const beside = `${path}.${hostname()}.${process.pid}.${randomUUID().slice(0, 8)}.part`
  try {
    const handle = await open(beside, 'wx')
    try {
      await write(handle)
    } finally {
      await handle.close()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {})
    throw error
  }
}

async function removeOrphans(path: string): Promise<void> {
  const mine = `${basename(path)}.${hostname()}.`
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(mine) || !name.endsWith('.part')) continue
    const pid = Number(name.slice(mine.length).split('.')[0])
    if (!isRunning(pid)) await rm(join(dirname(path), name), { force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // A process of somebody else's is running, too.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
