import { lstat, open, readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { openSealedJson, sealedJson } from '../files/sealed-json.js'
import { sha256OfFile } from '../files/sha256-of-file.js'
import { version as agebVersion } from '../files/version.js'
import { errorCode, writeFileWhole } from '../files/write-file.js'
import { type EntryId, entryId, type KeyPart, namePattern } from './stage.js'

/** Names of an entry's files: relative, with `/`, nothing that leaves the folder. */
const filePattern = /^(?!.*(^|\/)\.{1,2}(\/|$))[\w.-]+(\/[\w.-]+)*$/

const recordName = 'entry.json'
const maxRecordBytes = 16 * 2 ** 20

const keyPart: z.ZodType<KeyPart> = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(keyPart), z.record(z.string(), keyPart)]),
)

const recordSchema = z.object({
  stage: z.string().regex(namePattern),
  version: z.number(),
  key: z.string().regex(namePattern),
  /** What the key is the digest of, with stage and version. */
  parts: z.record(z.string(), keyPart),
  files: z.array(
    z.object({
      name: z.string().max(1024).regex(filePattern),
      bytes: z.int().nonnegative(),
      /** SHA-256, hexadecimal. */
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
  created: z.iso.datetime(),
  seconds: z.number().nonnegative(),
  machine: z.string(),
  ageb: z.string(),
})

/** What `entry.json` says of an entry. */
export type EntryRecord = z.infer<typeof recordSchema>

/** Why an entry cannot be used: how the sentence "this entry …" ends. */
export interface Damage {
  readonly damage: string
}

/**
 * Completes a folder to an entry: writes `entry.json` with sizes and digests of the files in it. They are not
 * flushed to the disk: after a power failure, sizes and digests tell whether they got there.
 *
 * @throws Error if there is anything else than files with plain names
 */
export async function sealEntry(
  folder: string,
  { stage, version, key, parts }: EntryId,
  { seconds, machine }: { seconds: number; machine: string },
): Promise<EntryRecord> {
  const files: EntryRecord['files'] = []
  for (const name of await filesIn(folder)) {
    if (name === recordName || !filePattern.test(name)) {
      throw new Error(
        `stage '${stage}' wrote a file '${name}': names are of letters, digits, '.', '_' and '-'`,
      )
    }
    const { size } = await lstat(join(folder, name))
    files.push({ name, bytes: size, sha256: await sha256OfFile(join(folder, name)) })
  }
  const record: EntryRecord = recordSchema.parse({
    stage,
    version,
    key,
    // As it will be read again: undefined is absent.
    parts: JSON.parse(JSON.stringify(parts)),
    files,
    created: new Date().toISOString(),
    seconds,
    machine,
    ageb: agebVersion(),
  })
  await writeFileWhole(join(folder, recordName), sealedJson(record))
  return record
}

/**
 * Reads and checks `entry.json`; undefined if the folder does not exist.
 *
 * @param place stage and key as the folders' names have them
 */
export async function readEntry(
  folder: string,
  place: { stage: string; key: string },
): Promise<EntryRecord | Damage | undefined> {
  let text: string | undefined
  try {
    text = await readSmallFile(join(folder, recordName))
    if (text === undefined) {
      if (!(await lstat(folder).catch(() => undefined))) return undefined
      // It may have been put between the two looks.
      text = await readSmallFile(join(folder, recordName))
    }
  } catch (error) {
    if (lacksResources(error)) throw error
    return { damage: `has an entry.json that cannot be read (${reason(error)})` }
  }
  if (text === undefined) return { damage: 'has no entry.json' }
  try {
    const record = recordSchema.parse(openSealedJson(text))
    const { key } = entryId(record.stage, record.version, record.parts)
    if (record.stage !== place.stage || record.key !== place.key || key !== place.key) {
      return { damage: 'has the entry.json of another entry' }
    }
    return record
  } catch {
    return { damage: 'has an entry.json that is not whole' }
  }
}

/**
 * What the file system says of an entry's files; different if one of them was replaced or written to. Looks at
 * sizes, reads nothing.
 */
export async function fingerprint(folder: string, record: EntryRecord): Promise<string | Damage> {
  const marks: string[] = []
  for (const { name, bytes } of record.files) {
    try {
      const { size, ino, mtimeMs, isFile } = await describe(join(folder, name))
      if (!isFile) return { damage: `has no file ${name}` }
      if (size !== bytes) return { damage: `has ${size} bytes in ${name} instead of ${bytes}` }
      marks.push(`${ino} ${size} ${mtimeMs}`)
    } catch (error) {
      if (lacksResources(error)) throw error
      return { damage: `lacks ${name} (${reason(error)})` }
    }
  }
  return marks.join('\n')
}

/**
 * Checks the digests of all files, at about a gigabyte per second.
 *
 * @param onBytes told how many more bytes were read; what it throws ends the check
 */
export async function checkDigests(
  folder: string,
  { files }: EntryRecord,
  onBytes: (bytes: number) => void,
): Promise<Damage | undefined> {
  for (const { name, sha256 } of files) {
    try {
      const found = await sha256OfFile(join(folder, name), onBytes)
      if (found !== sha256) return { damage: `has other bytes in ${name} than were written` }
    } catch (error) {
      if (errorCode(error) === '' || lacksResources(error)) throw error
      return { damage: `has a file ${name} that cannot be read (${reason(error)})` }
    }
  }
  return undefined
}

/** Size of an entry's files. */
export function bytesOf({ files }: EntryRecord): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Notes that an entry was used now: the time of `entry.json`. Best effort: the store may be read-only. */
export async function markUsed(folder: string): Promise<void> {
  const now = new Date()
  await utimes(join(folder, recordName), now, now).catch(() => {})
}

/** When an entry was used last. */
export async function lastUsed(folder: string): Promise<Date> {
  return (await lstat(join(folder, recordName))).mtime
}

/** All files in a folder and its folders, sorted. Throws if there is anything else, such as a link. */
async function filesIn(folder: string, prefix = ''): Promise<string[]> {
  const names: string[] = []
  for (const item of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const name = `${prefix}${item.name}`
    if (item.isDirectory()) names.push(...(await filesIn(folder, `${name}/`)))
    else if (item.isFile()) names.push(name)
    else throw new Error(`${join(folder, name)} is neither a file nor a folder: an entry cannot hold it`)
  }
  return names.sort()
}

async function describe(path: string) {
  const stats = await lstat(path)
  return { size: stats.size, ino: stats.ino, mtimeMs: stats.mtimeMs, isFile: stats.isFile() }
}

/** A file as text, undefined if it does not exist; its size is checked before memory is taken. */
async function readSmallFile(path: string): Promise<string | undefined> {
  const handle = await open(path, 'r').catch(error => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (!handle) return undefined
  try {
    const { size } = await handle.stat()
    if (size > maxRecordBytes) throw new Error(`${size} bytes are too many`)
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

/** Whether reading failed because of this process, which says nothing about the file. */
function lacksResources(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM'].includes(errorCode(error))
}

function reason(error: unknown): string {
  return errorCode(error) || (error instanceof Error ? error.message : String(error))
}
