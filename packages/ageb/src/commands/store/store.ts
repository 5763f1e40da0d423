import {
  duration,
  type EntrySummary,
  listEntries,
  listUnfinished,
  type Monitor,
  pruneStore,
  type Row,
  storeFolder,
  type UnfinishedSummary,
  verifyStore,
} from '@ageb/workbench'
import { type Outcome, table } from '../../cli/output.js'

export interface StoreFlags {
  readonly stage?: string
  readonly json?: boolean
}

export interface PruneFlags extends StoreFlags {
  readonly olderThan?: number
  readonly maxSize?: number
  readonly unfinished?: boolean
  readonly dryRun?: boolean
}

/** What is stored. */
export async function list({ stage }: StoreFlags): Promise<Outcome> {
  const store = storeFolder()
  const entries = await listEntries(store, { stage })
  const unfinished = await listUnfinished(store, { stage })
  const bytes = total(entries)
  return {
    data: { store, bytes, entries: entries.map(entryData), unfinished: unfinished.map(unfinishedData) },
    text: table([
      ...entries.map(entryRow),
      ...unfinished.map(unfinishedRow),
      ['total', size(bytes), `${plural(entries.length)} in ${store}`],
    ]),
  }
}

/** Whether what is stored is whole. */
export async function verify({ stage }: StoreFlags, monitor: Monitor): Promise<Outcome> {
  const store = storeFolder()
  const { entries, bytes, damaged } = await verifyStore(store, { stage, monitor })
  return {
    data: { store, entries, bytes, damaged },
    text: table([
      ...damaged.map(({ stage, key, damage }): Row => [name(stage, key), 'removed', `it ${damage}`]),
      ['checked', size(bytes), `${plural(entries)} in ${store}`],
      ['damaged', String(damaged.length)],
    ]),
  }
}

/** Makes room. */
export async function prune(flags: PruneFlags): Promise<Outcome> {
  const { stage, olderThan, maxSize, unfinished, dryRun = false } = flags
  const store = storeFolder()
  const pruned = await pruneStore(store, {
    stage,
    olderThanDays: olderThan,
    maxBytes: maxSize,
    unfinished,
    dryRun,
  })
  const { leftovers, kept } = pruned
  const freed = total(pruned.entries) + total(pruned.unfinished) + leftovers.bytes
  return {
    data: {
      store,
      dryRun,
      freed,
      kept,
      entries: pruned.entries.map(entryData),
      unfinished: pruned.unfinished.map(unfinishedData),
      leftovers,
    },
    text: table([
      ...pruned.entries.map(entryRow),
      ...pruned.unfinished.map(unfinishedRow),
      ['leftovers', size(leftovers.bytes), 'of stopped programs'],
      [dryRun ? 'would be removed' : 'removed', size(freed), plural(pruned.entries.length)],
      [dryRun ? 'would be kept' : 'kept', size(kept), store],
    ]),
  }
}

function entryData({ stage, key, bytes, used, record, damage }: EntrySummary) {
  const { version, parts, created, seconds, machine, ageb } = record ?? {}
  return { stage, key, bytes, used, version, parts, created, seconds, machine, ageb, damage }
}

function entryRow({ stage, key, bytes, used, record, damage }: EntrySummary): Row {
  const took = record ? `, took ${duration(record.seconds)}` : ''
  const note = damage !== undefined ? `damaged: it ${damage}` : short(JSON.stringify(record?.parts ?? {}))
  return [name(stage, key), `${size(bytes)}${took}, used ${ago(used)}`, note]
}

function unfinishedData({ stage, key, bytes, used, holder }: UnfinishedSummary) {
  return { stage, key, bytes, used, ...(holder && { host: holder.host, pid: holder.pid }) }
}

function unfinishedRow({ stage, key, bytes, used, holder }: UnfinishedSummary): Row {
  const note = holder ? `in work: process ${holder.pid} on ${holder.host}` : 'unfinished: it can be resumed'
  return [name(stage, key), `${size(bytes)}, used ${ago(used)}`, note]
}

const name = (stage: string, key: string) => `${stage} ${key.slice(0, 12)}`
const total = (items: readonly { bytes: number }[]) => items.reduce((sum, { bytes }) => sum + bytes, 0)
const plural = (count: number) => (count === 1 ? '1 result' : `${count} results`)
const short = (text: string) => (text.length <= 100 ? text : `${text.slice(0, 99)}…`)

/** `1.4 GiB`, `12 MiB`, `340 bytes`. */
function size(bytes: number): string {
  if (bytes < 2 ** 10) return `${bytes} bytes`
  if (bytes < 2 ** 20) return `${(bytes / 2 ** 10).toFixed(0)} KiB`
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(0)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`
}

/** `today`, `3 days ago`. */
function ago(when: Date): string {
  const days = Math.floor((Date.now() - when.getTime()) / (24 * 3600 * 1000))
  if (days < 1) return 'today'
  return days === 1 ? 'yesterday' : `${days} days ago`
}
