import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImageSetParts } from '@ageb/lab'
import envPaths from 'env-paths'
import { z } from 'zod'

/** What a cached split holds: `ImageSet` without the names that the caller gave it. */
export type DecodedSplit = Omit<ImageSetParts, 'name' | 'split'> & { readonly count: number }

/** Raise it whenever the same files would decode to other bytes, or the cache's layout changes. */
const formatVersion = 1

const headerSchema = z.object({
  version: z.literal(formatVersion),
  key: z.string(),
  count: z.int().positive(),
  height: z.int().positive(),
  width: z.int().positive(),
  classNames: z.array(z.string()),
  labels: z.array(z.int().nonnegative()),
  /** SHA-256 of the pixels, hexadecimal. */
  sha256: z.string(),
})

/** Node reads and writes at most 2 GiB at once. */
const chunkBytes = 2 ** 30

/** The folder of decoded splits: `AGEB_CACHE`, else the user's cache folder as the platform has it. */
export function cacheFolder(): string {
  return process.env.AGEB_CACHE || envPaths('ageb', { suffix: '' }).cache
}

/**
 * The cache key of a split: what its files hold (not where they lie) and what is done with them.
 *
 * @param files paths of the split's files in order
 * @param size height and width that images are resized to, undefined for as stored
 */
export async function cacheKey(files: readonly string[], size: number | undefined): Promise<string> {
  const hash = createHash('sha256').update(`ageb/${formatVersion}/${size ?? 'as stored'}`)
  for (const file of files) hash.update(`/${await sha256OfFile(file)}`)
  return hash.digest('hex')
}

/** SHA-256 of a file, hexadecimal. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk)
  return hash.digest('hex')
}

/** The cached split, or undefined if there is none or it is not whole (it is then to be decoded again). */
export async function readCache(key: string): Promise<DecodedSplit | undefined> {
  const { header: headerPath, pixels: pixelsPath } = cachePaths(key)
  try {
    const header = headerSchema.parse(JSON.parse(await readFile(headerPath, 'utf8')))
    const { count, height, width, classNames } = header
    if (header.key !== key || header.labels.length !== count) return undefined
    if (header.labels.some(label => label >= classNames.length)) return undefined
    const pixels = await readExactly(pixelsPath, count * 3 * height * width)
    if (!pixels || sha256(pixels) !== header.sha256) return undefined
    return { count, height, width, pixels, labels: Int32Array.from(header.labels), classNames }
  } catch {
    // Not there or unreadable: either way the files that it was made from still are.
    return undefined
  }
}

/**
 * Stores a split. Both files are written beside their place and renamed, the header last, so that whoever
 * reads at the same time finds a whole split or none.
 *
 * @throws Error of the file system if the folder cannot be written
 */
export async function writeCache(key: string, split: DecodedSplit): Promise<void> {
  const paths = cachePaths(key)
  const { count, height, width, pixels, labels, classNames } = split
  const header: z.infer<typeof headerSchema> = {
    version: formatVersion,
    key,
    count,
    height,
    width,
    classNames: [...classNames],
    labels: [...labels],
    sha256: sha256(pixels),
  }
  await mkdir(cacheFolder(), { recursive: true })
  await writeRenamed(paths.pixels, async handle => {
    for (let at = 0; at < pixels.length; at += chunkBytes) {
      await writeFile(handle, pixels.subarray(at, at + chunkBytes))
    }
  })
  await writeRenamed(paths.header, handle => writeFile(handle, JSON.stringify(header)))
}

function cachePaths(key: string) {
  const stem = join(cacheFolder(), `split-${key.slice(0, 32)}`)
  return { header: `${stem}.json`, pixels: `${stem}.bin` }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The file's bytes if it has just `length` of them; its size is checked before memory is taken. */
async function readExactly(path: string, length: number): Promise<Uint8Array | undefined> {
  const handle = await open(path, 'r')
  try {
    if ((await handle.stat()).size !== length) return undefined
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; ) {
      const { bytesRead } = await handle.read(bytes, at, Math.min(chunkBytes, length - at), at)
      if (bytesRead === 0) return undefined
      at += bytesRead
    }
    return bytes
  } finally {
    await handle.close()
  }
}

async function writeRenamed(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const beside = `${path}.${randomUUID()}.part`
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
