import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { InputError } from 'onnxgrad'

const noSpace: Record<string, string> = {
  ENOSPC: 'the disk is full: free some space and try again',
  EDQUOT: 'the quota is used up: free some space and try again',
}

const noPermission: Record<string, string> = {
  EACCES: 'permission is denied: choose a folder that you may write to',
  EPERM: 'the operation is not permitted: choose a folder that you may write to',
  EROFS: 'the file system is read-only: choose another folder',
}

/** Whether a write failed because the disk or the quota is full. */
export function isOutOfSpace(error: unknown): boolean {
  return errorCode(error) in noSpace
}

/** Whether a write failed because this process may not write there. */
export function isForbidden(error: unknown): boolean {
  return errorCode(error) in noPermission
}

/** The code of a file system's error, such as ENOENT; '' if it has none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** What is told when a path cannot be written: in one sentence what, where, why, and what to do. */
export function cannotBeWritten(path: string, error: unknown): InputError {
  const code = errorCode(error)
  const why = noSpace[code] ?? noPermission[code] ?? (error instanceof Error ? error.message : String(error))
  return new InputError(`${path} cannot be written: ${why}`)
}

/** Makes a folder and those that it is in, where they are not there. Throws InputError if it cannot be made. */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch(error => {
    throw cannotBeWritten(folder, error)
  })
}

/** A name beside `path` for what is not finished, different in every process and every time. */
export function temporaryName(path: string): string {
  return `${path}.${process.pid}-${randomBytes(6).toString('hex')}.part`
}

/**
 * Replaces a file whole or not at all: the data is written beside it, flushed, then renamed over it. Two that write
 * the same file at once do not disturb each other; the one that is later stays.
 *
 * @throws InputError if it cannot be written; an older file of that name is then still there
 */
export async function writeFileWhole(
  path: string,
  data: string | Uint8Array | Iterable<Uint8Array>,
): Promise<void> {
  const beside = temporaryName(path)
  try {
    const file = await open(beside, 'wx')
    try {
      await writeFile(file, data)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {})
    throw cannotBeWritten(path, error)
  }
}
