import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cannotBeWritten, errorCode } from '../files/write-file.js'
import { type Monitor, silent } from '../runs/monitor.js'
import { checkDigests, lastUsed, readEntry } from './entry.js'
import { removeWhole } from './folder-lease.js'
import { storeFolder } from './folder-store.js'
import { isAbandoned, LeaseFile, lookAtLease } from './lease-file.js'
import {
  contentOf,
  type EntrySummary,
  itemsOf,
  listEntries,
  listUnfinished,
  type MaintenanceOptions,
  type UnfinishedSummary,
} from './listing.js'

/** What `verifyStore` found. */
export interface Verification {
  readonly entries: number
  readonly bytes: number
  /** Damaged entries, which were removed. */
  readonly damaged: readonly { readonly stage: string; readonly key: string; readonly damage: string }[]
}

/**
 * Reads all files of a store, compares their digests and removes damaged entries, which are then made again when
 * they are needed.
 *
 * @throws InputError if a damaged entry cannot be removed; the signal's reason if it is aborted
 */
export async function verifyStore(
  root = storeFolder(),
  {
    stage,
    monitor = silent,
    signal,
  }: MaintenanceOptions & { monitor?: Monitor; signal?: AbortSignal | undefined } = {},
): Promise<Verification> {
  const entries = await listEntries(root, { stage })
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0)
  const damaged: { stage: string; key: string; damage: string }[] = []
  const bar = monitor.progress('checking', Math.max(1, total))
  let done = 0
  try {
    for (const { stage, key, folder, record, damage: seen } of entries) {
      const onBytes = (bytes: number) => {
        signal?.throwIfAborted()
        done += bytes
        bar.update(done)
      }
      const damage =
        seen ?? (record ? (await checkDigests(folder, record, onBytes))?.damage : 'has no entry.json')
      if (damage === undefined) continue
      await underLease(folder, async token => {
        // Unless it was pruned or made again meanwhile.
        const now = await readEntry(folder, { stage, key })
        if (JSON.stringify(now) !== JSON.stringify(record ?? { damage })) return
        await removeWhole(folder, token)
        damaged.push({ stage, key, damage })
      })
    }
  } finally {
    bar.stop()
  }
  return { entries: entries.length, bytes: total, damaged }
}

export interface PruneOptions extends MaintenanceOptions {
  /** Removes entries, and with `unfinished` also unfinished work, not used for so many days. */
  readonly olderThanDays?: number | undefined
  /** Removes entries, least recently used first, until no more than this is left. */
  readonly maxBytes?: number | undefined
  /** Also removes unfinished work: it begins anew. */
  readonly unfinished?: boolean | undefined
  /** Only reports what would be removed. */
  readonly dryRun?: boolean | undefined
}

/** What `pruneStore` removed, or would. */
export interface Pruned {
  readonly entries: readonly EntrySummary[]
  readonly unfinished: readonly UnfinishedSummary[]
  /** What killed processes left behind: half-written entries, for example. */
  readonly leftovers: { readonly count: number; readonly bytes: number }
  /** Bytes of the entries that stay. */
  readonly kept: number
}

const day = 24 * 3600 * 1000

/**
 * Makes room: removes what killed processes left behind, and the entries that the options name. What a process is
 * making is never removed. What a process has opened may be removed: prune while nothing runs.
 *
 * @throws InputError if the store cannot be written
 */
export async function pruneStore(root = storeFolder(), options: PruneOptions = {}): Promise<Pruned> {
  const { stage, olderThanDays = Number.POSITIVE_INFINITY, maxBytes, dryRun = false } = options
  const all = await listEntries(root, { stage })
  const isOld = ({ used }: { used: Date }) => Date.now() - used.getTime() >= olderThanDays * day
  const entries: EntrySummary[] = []
  let kept = all.reduce((sum, { bytes }) => sum + bytes, 0)
  for (const entry of all.toReversed()) {
    if (!isOld(entry) && (maxBytes === undefined || kept <= maxBytes)) continue
    const removed = await remove(entry.folder, entry.folder, dryRun, async () => {
      // Someone may have used it since it was listed.
      return (await lastUsed(entry.folder).catch(() => entry.used)) <= entry.used
    })
    if (!removed) continue
    entries.push(entry)
    kept -= entry.bytes
  }
  const unfinished: UnfinishedSummary[] = []
  if (options.unfinished) {
    for (const work of await listUnfinished(root, { stage })) {
      if (options.olderThanDays !== undefined && !isOld(work)) continue
      const place = work.folder.replace(/\.scratch$/, '')
      if (await remove(work.folder, place, dryRun)) unfinished.push(work)
    }
  }
  return { entries, unfinished, leftovers: await sweep(root, stage, dryRun), kept }
}

/** Removes what killed processes left behind, and what no process will use. */
async function sweep(root: string, stage: string | undefined, dryRun: boolean) {
  let [count, bytes] = [0, 0]
  for (const { stage: folder, key, rest, path } of await itemsOf(root, stage)) {
    const place = join(root, folder, key)
    if (rest === '' || !(await isLeftover(place, rest, path))) continue
    const content = await contentOf(path)
    if (!dryRun) {
      // A lease is ended by its rules; of anything else no one is the owner any more.
      if (rest === 'lease') await underLease(place, async () => {})
      else await told(root, () => rm(path, { recursive: true, force: true }))
    }
    count++
    bytes += content.bytes
  }
  return { count, bytes }
}

async function isLeftover(place: string, rest: string, path: string): Promise<boolean> {
  const lease = await lookAtLease(`${place}.lease`)
  const abandoned = !lease || isAbandoned(lease)
  if (rest === 'lease') return abandoned && lease !== undefined
  // Killed after its entry was stored.
  if (rest === 'scratch') return abandoned && (await contentOf(join(place, 'entry.json'))).bytes > 0
  if (rest.endsWith('.trash')) return true
  if (rest.endsWith('.part')) return abandoned || rest !== `${lease.holder?.token}.part`
  // Claims are held for a moment.
  return rest.startsWith('lease.') && Date.now() - (await contentOf(path)).used.getTime() > day
}

/** Removes a folder if no process works on the entry of `place` and the condition holds; tells whether it did. */
async function remove(
  folder: string,
  place: string,
  dryRun: boolean,
  condition: () => Promise<boolean> = async () => true,
): Promise<boolean> {
  if (dryRun) {
    const lease = await lookAtLease(`${place}.lease`)
    return !lease || isAbandoned(lease)
  }
  let removed = false
  await underLease(place, async token => {
    if (!(await condition())) return
    await removeWhole(folder, token)
    removed = true
  })
  return removed
}

/** Does something while no other process can work on an entry; nothing if one does. */
async function underLease(place: string, work: (token: string) => Promise<void>): Promise<void> {
  await told(place, async () => {
    const path = `${place}.lease`
    let lease = await LeaseFile.create(path, 30)
    if (!lease) {
      const seen = await lookAtLease(path)
      if (seen && isAbandoned(seen)) lease = await LeaseFile.takeOver(path, seen, 30, true)
    }
    if (!lease) return
    try {
      await work(lease.holder.token)
    } finally {
      await lease.release()
    }
  })
}

/** Reports errors of the file system in one sentence. */
async function told(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw errorCode(error) === '' ? error : cannotBeWritten(path, error)
  }
}
