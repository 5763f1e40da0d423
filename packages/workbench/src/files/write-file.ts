import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
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

const noPlace: Record<string, string> = {
  ENOENT: 'its folder does not exist: make it first',
  ENOTDIR: 'a part of the path is a file: choose another path',
  EISDIR: 'it is a folder: choose another path',
  EEXIST: 'there is a file of that name: choose another path',
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
  const why =
    noSpace[code] ??
    noPermission[code] ??
    noPlace[code] ??
    (error instanceof Error ? error.message : String(error))
  return new InputError(`${path} cannot be written: ${why}`)
}

/**
 * Makes a folder and those that it is in, where they are not there. Unlike Node's own recursive mkdir, which reports that
 * a folder in a read-only file system does not exist, it throws what is in the way.
 *
 * @throws Error of the file system
 */
export async function ensureFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    if ((await stat(folder).catch(() => undefined))?.isDirectory()) return
    if (errorCode(error) !== 'ENOENT' || dirname(folder) === folder) throw error
    await ensureFolder(dirname(folder))
    await ensureFolder(folder)
  }
}

/** As `ensureFolder`. Throws InputError if the folder cannot be made. */
export async function makeFolder(folder: string): Promise<void> {
  await ensureFolder(folder).catch(error => {
    throw cannotBeWritten(folder, error)
  })
}

/** A name beside `path` for what is not finished, different in every process and every time. */
export function temporaryName(path: string): string {
  return `${path}.${process.pid}-${randomBytes(6).toString('hex')}.part`
}

/**
 * Removes what processes that were killed have left of files that they were writing, in a folder and those in it. Nothing
 * may be writing there.
 */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true }))
    if (/\.\d+-[0-9a-f]{12}\.part$/.test(name)) await rm(join(folder, name), { force: true })
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
