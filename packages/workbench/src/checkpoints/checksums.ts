import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { InputError } from 'onnxgrad'
import { sha256OfFile } from '../files/sha256-of-file.js'
import { errorCode } from '../files/write-file.js'

/**
 * The file beside a checkpoint that has the SHA-256 of its files, as `sha256sum -c` reads it. Other programs do not copy
 * it, so it speaks of what ageb wrote, and not of what they made of it.
 */
export const CHECKSUMS = 'SHA256SUMS'

/** `SHA256SUMS` of files by name. */
export function checksumsOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  return Object.entries(files)
    .map(([name, data]) => `${createHash('sha256').update(data).digest('hex')}  ${name}\n`)
    .join('')
}

/**
 * Compares files that were read with the `SHA256SUMS` in their folder, if there is one. What it does not name is not
 * compared.
 *
 * @param files text or bytes by name; undefined for those that are not there
 * @throws InputError naming the file that is damaged or was changed
 */
export async function assertChecksums(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array | undefined>>,
): Promise<void> {
  for (const [name, expected] of await readChecksums(folder)) {
    const data = files[name]
    if (data !== undefined && createHash('sha256').update(data).digest('hex') !== expected)
      throw other(folder, name)
  }
}

/**
 * Reads all files that the `SHA256SUMS` in a folder names, and compares them; nothing if there is none.
 * @throws InputError naming the file that is missing, damaged or was changed
 */
export async function assertWhole(folder: string): Promise<void> {
  for (const [name, expected] of await readChecksums(folder)) {
    const found = await sha256OfFile(path.join(folder, name)).catch(error => {
      throw new InputError(
        `${path.join(folder, name)} cannot be read (${errorCode(error)}), though ${CHECKSUMS} names it: restore it`,
      )
    })
    if (found !== expected) throw other(folder, name)
  }
}

async function readChecksums(folder: string): Promise<ReadonlyMap<string, string>> {
  const file = path.join(folder, CHECKSUMS)
  const text = await readFile(file, 'utf8').catch(error => {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
    throw new InputError(`${file} cannot be read (${errorCode(error)}): check its permissions`)
  })
  if (text === undefined) return new Map()
  const lines = [...text.matchAll(/^([0-9a-f]{64}) [ *]([\w.-]+(?:\/[\w.-]+)*)$/gm)]
  const isWhole = lines.length > 0 && lines.map(([line]) => `${line}\n`).join('') === text
  if (!isWhole || lines.some(([, , name]) => name!.split('/').includes('..')))
    throw new InputError(`${file} is damaged: restore it, or delete it if you trust the files beside it`)
  return new Map(lines.map(([, digest, name]) => [name!, digest!]))
}

function other(folder: string, name: string): InputError {
  return new InputError(
    `${path.join(folder, name)} is damaged or was changed since ageb wrote it: restore it, or delete ${path.join(folder, CHECKSUMS)} if you changed it on purpose`,
  )
}
