import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesOf, type EntryRecord, fingerprint, lastUsed, readEntry } from './entry.js'
import { storeFolder } from './folder-store.js'
import { isAbandoned, lookAtLease } from './lease-file.js'
import { namePattern } from './stage.js'

/** An entry as it is listed. */
export interface EntrySummary {
  readonly stage: string
  readonly key: string
  readonly folder: string
  readonly bytes: number
  /** When it was made or used last. */
  readonly used: Date
  /** What `entry.json` says; undefined if the entry is damaged. */
  readonly record: EntryRecord | undefined
  /** What a look without reading the files finds wrong: how the sentence "this entry …" ends. */
  readonly damage: string | undefined
}

/** Work that was not finished, with what it resumes from. */
export interface UnfinishedSummary {
  readonly stage: string
  readonly key: string
  readonly folder: string
  readonly bytes: number
  /** When something was written last. */
  readonly used: Date
  /** The process that does it now, if one does. */
  readonly holder: { readonly host: string; readonly pid: number } | undefined
}

/** Which entries are looked at. */
export interface MaintenanceOptions {
  /** Only entries of this stage. */
  readonly stage?: string | undefined
}

/** The entries of a store, most recently used first. */
export async function listEntries(
  root = storeFolder(),
  { stage }: MaintenanceOptions = {},
): Promise<EntrySummary[]> {
  const entries: EntrySummary[] = []
  for (const item of await itemsOf(root, stage)) {
    if (item.rest !== '') continue
    const record = await readEntry(item.path, item)
    if (!record) continue
    const { key, path: folder } = item
    const used = await lastUsed(folder).catch(() => new Date(0))
    const damage = 'damage' in record ? record.damage : await damageAtSight(folder, record)
    entries.push({
      stage: item.stage,
      key,
      folder,
      bytes: 'damage' in record ? (await contentOf(folder)).bytes : bytesOf(record),
      used,
      record: 'damage' in record ? undefined : record,
      damage,
    })
  }
  return entries.sort((a, b) => b.used.getTime() - a.used.getTime())
}

/** Work in a store that was begun and not finished. */
export async function listUnfinished(
  root = storeFolder(),
  { stage }: MaintenanceOptions = {},
): Promise<UnfinishedSummary[]> {
  const unfinished: UnfinishedSummary[] = []
  for (const item of await itemsOf(root, stage)) {
    if (item.rest !== 'scratch') continue
    const lease = await lookAtLease(join(root, item.stage, `${item.key}.lease`))
    const { bytes, used } = await contentOf(item.path)
    const holder = lease && !isAbandoned(lease) ? lease.holder : undefined
    unfinished.push({ stage: item.stage, key: item.key, folder: item.path, bytes, used, holder })
  }
  return unfinished
}

/** What lies in a store: `<stage>/<key>` or `<stage>/<key>.<rest>`. Anything else is not of the store. */
export async function itemsOf(root: string, only?: string) {
  const items: { stage: string; key: string; rest: string; path: string }[] = []
  for (const stage of only === undefined ? await namesIn(root) : [only]) {
    if (!namePattern.test(stage)) continue
    for (const name of await namesIn(join(root, stage))) {
      const [key = '', ...rest] = name.split('.')
      if (namePattern.test(key))
        items.push({ stage, key, rest: rest.join('.'), path: join(root, stage, name) })
    }
  }
  return items
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}

async function damageAtSight(folder: string, record: EntryRecord): Promise<string | undefined> {
  const mark = await fingerprint(folder, record)
  return typeof mark === 'string' ? undefined : mark.damage
}

/** Size of all files in a folder, or of a file, and when one of them was written last. */
export async function contentOf(path: string): Promise<{ bytes: number; used: Date }> {
  const stats = await lstat(path).catch(() => undefined)
  if (!stats) return { bytes: 0, used: new Date(0) }
  if (!stats.isDirectory()) return { bytes: stats.size, used: stats.mtime }
  let [bytes, used] = [0, stats.mtime]
  for (const name of await namesIn(path)) {
    const inner = await contentOf(join(path, name))
    bytes += inner.bytes
    if (inner.used > used) used = inner.used
  }
  return { bytes, used }
}
