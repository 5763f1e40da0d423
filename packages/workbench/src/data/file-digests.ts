import { createHash } from 'node:crypto'
import { type BigIntStats, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { digestOf } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { z } from 'zod'
import { sha256OfFile } from '../files/sha256-of-file.js'
import { cacheFolder, writeCacheFile } from './cache.js'
import { inParallel } from './parallel.js'
import type { Watched } from './stored-images.js'

/** By path: when and how large the file was, and its SHA-256. */
const knownSchema = z.record(z.string(), z.tuple([z.string(), z.string()]))

/** Smaller files are read whole. */
const wholeBytes = 2 ** 24
const atOnce = 8
/** A file changed less than this before now may change again without its time showing it. */
const settledMs = 2000

/**
 * SHA-256 of files, in their order, hexadecimal. They are remembered in the cache folder: a file of the same path, size
 * and times is not read again.
 *
 * @param what for the progress bar
 * @throws InputError if a file cannot be read
 */
export async function digestsOfFiles(
  files: readonly string[],
  what: string,
  { monitor, signal }: Watched,
): Promise<string[]> {
  const memory = join(cacheFolder(), `digests-${digestOf(files.map(file => resolve(file))).slice(0, 32)}.txt`)
  const known = await remembered(memory)
  const digests: string[] = new Array(files.length).fill('')
  const unknown: { index: number; stamp: string; isSettled: boolean; size: number }[] = []
  const now = Date.now()
  for (const [index, file] of files.entries()) {
    // Asking at once takes a tenth of the time that handing the question to another thread does.
    const { size, mtimeNs, ctimeNs } = statusOf(file)
    const stamp = `${size} ${mtimeNs} ${ctimeNs}`
    const entry = known[file]
    if (entry?.[0] === stamp) digests[index] = entry[1]
    else {
      const isSettled = now - Number(mtimeNs / 1_000_000n) > settledMs
      unknown.push({ index, stamp, isSettled, size: Number(size) })
    }
  }
  if (unknown.length === 0) return digests
  const total = unknown.reduce((sum, { size }) => sum + size, 0)
  const bar = monitor.progress(`reading ${what}`, Math.max(1, total))
  let done = 0
  try {
    await inParallel(unknown, atOnce, async ({ index, size }) => {
      signal?.throwIfAborted()
      const file = files[index]!
      digests[index] = await digestOfFile(file, size).catch(unreadable(file))
      done += size
      bar.update(done)
    })
  } finally {
    bar.stop()
  }
  for (const { index, stamp, isSettled } of unknown)
    if (isSettled) known[files[index]!] = [stamp, digests[index]!]
  // What cannot be remembered is read again.
  await writeCacheFile(memory, handle => handle.writeFile(withSum(JSON.stringify(known)))).catch(() => {})
  return digests
}

async function digestOfFile(file: string, size: number): Promise<string> {
  if (size > wholeBytes) return sha256OfFile(file)
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}

async function remembered(memory: string): Promise<z.infer<typeof knownSchema>> {
  try {
    const text = await readFile(memory, 'utf8')
    const body = text.slice(text.indexOf('\n') + 1)
    // A digest that was damaged here would be taken for that of other data.
    return text === withSum(body) ? knownSchema.parse(JSON.parse(body)) : {}
  } catch {
    return {}
  }
}

/** Behind its checksum. Not as `sealedJson`, which takes long for a million files. */
function withSum(text: string): string {
  return `${createHash('sha256').update(text).digest('hex')}\n${text}`
}

function statusOf(file: string): BigIntStats {
  try {
    return statSync(file, { bigint: true })
  } catch (error) {
    return unreadable(file)(error as NodeJS.ErrnoException)
  }
}

function unreadable(file: string): (error: NodeJS.ErrnoException) => never {
  return error => {
    if (error.code === undefined) throw error
    throw new InputError(
      `${file} cannot be read (${error.code}): check it and the permissions of ${dirname(file)}.`,
    )
  }
}
