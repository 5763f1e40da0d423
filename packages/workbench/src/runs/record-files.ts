import { createHash } from 'node:crypto'
import { InputError } from 'onnxgrad'
import type { z } from 'zod'
import { shown, UsageError } from '../configuration/resolve.js'
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

/** Whether a run is finished. Throws InputError if that cannot be told. */
export async function hasRecord(folder: RunFolder): Promise<boolean> {
  return (await folder.read(RECORD)) !== null
}

/** Writes the record of a run, by which it is finished. Throws InputError if it cannot be written. */
export async function writeRecord<T extends object>(
  folder: RunFolder,
  schema: z.ZodType<T>,
  record: T,
): Promise<void> {
  await folder.writeSealed(RECORD, schema.parse(record))
}

const RECORD = 'record.json'

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
  const remedy = 'delete it and resume the run to make it again'
  const plain = await folder.readSealed(RECORD, remedy)
  if (!plain) throw new UsageError(`${folder.path} is not finished: resume it with --resume ${folder.path}`)
  if ('kind' in plain && plain.kind !== kind)
    throw new UsageError(
      `${folder.path} is a run of kind '${shown(String(plain.kind))}', not '${kind}': name another run`,
    )
  const parsed = schema.safeParse(plain)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  throw new InputError(
    `${folder.file(RECORD)} is not a record that this version reads ('${path.join('.')}': ${message}): ${remedy}`,
  )
}
