import { createHash } from 'node:crypto'
import { InputError } from 'onnxgrad'
import type { z } from 'zod'
import { UsageError } from '../configuration/resolve.js'
import type { RunFolder } from './run-folder.js'

/** A file that a record names, with the digest that shows whether it is damaged. */
export interface RecordFile {
  readonly name: string
  readonly sha256: string
}

/** Writes a file into a run's folder, for the record to name. Throws InputError if it cannot be written. */
export async function writeRecordFile(
  folder: RunFolder,
  name: string,
  bytes: Uint8Array,
): Promise<RecordFile> {
  await folder.write(name, [bytes])
  return { name, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** Reads a file that a record names. Throws InputError if it is missing or is not what the record was written with. */
export async function readRecordFile(folder: RunFolder, { name, sha256 }: RecordFile): Promise<Uint8Array> {
  const bytes = await folder.read(name)
  if (bytes && createHash('sha256').update(bytes).digest('hex') === sha256) return bytes
  throw new InputError(
    `${folder.file(name)} is ${bytes ? 'damaged' : 'missing'}: delete record.json and resume the run to make it again`,
  )
}

/**
 * Reads `record.json` of a finished run.
 * @throws UsageError if the run is not finished, or of another kind; InputError if the record is damaged
 */
export async function readRecord<T extends { readonly kind: string }>(
  folder: RunFolder,
  schema: z.ZodType<T>,
  kind: T['kind'],
): Promise<T> {
  const bytes = await folder.read('record.json')
  if (!bytes) throw new UsageError(`${folder.path} is not finished: resume it with --resume ${folder.path}`)
  const where = folder.file('record.json')
  const damaged = (why: string) =>
    new InputError(`${where} is damaged (${why}): delete it and resume the run to make it again`)
  let plain: unknown
  try {
    plain = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw damaged('it is not JSON')
  }
  if (typeof plain === 'object' && plain !== null && 'kind' in plain && plain.kind !== kind)
    throw new UsageError(
      `${folder.path} is a run of kind '${String(plain.kind)}', not '${kind}': name another run`,
    )
  const parsed = schema.safeParse(plain)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  throw damaged(`'${path.join('.')}': ${message}`)
}
