import { open, rename, rm, writeFile } from 'node:fs/promises'
import { InputError } from 'onnxgrad'

const advice: Record<string, string> = {
  ENOSPC: 'the disk is full: free some space, then go on with --resume',
  EDQUOT: 'the quota is used up: free some space, then go on with --resume',
  EACCES: 'permission is denied: choose another folder with --out',
  EROFS: 'the file system is read-only: choose another folder with --out',
}

/**
 * Replaces a file whole or not at all: the data is written beside it, flushed, then renamed over it.
 * Throws InputError if it cannot be written; an older file of that name is then still there.
 */
export async function writeFileWhole(
  path: string,
  data: string | Uint8Array | Iterable<Uint8Array>,
): Promise<void> {
  const beside = `${path}.part`
  try {
    const file = await open(beside, 'w')
    try {
      await writeFile(file, data)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    const { code = '' } = error as NodeJS.ErrnoException
    throw new InputError(`${path} cannot be written: ${advice[code] ?? (error as Error).message}`)
  }
}
