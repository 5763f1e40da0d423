import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheFolder } from '../data/cache.js'
import { cannotBeWritten, ensureFolder, errorCode, isForbidden } from '../files/write-file.js'
import {
  bytesOf,
  checkDigests,
  type Damage,
  type EntryRecord,
  fingerprint,
  markUsed,
  readEntry,
} from './entry.js'
import { FolderLease } from './folder-lease.js'
import { LeaseFile, LeaseWatch } from './lease-file.js'
import type { EntryId } from './stage.js'
import type { Lease, Store, StoredEntry, StoreOptions } from './store.js'

/** The folder of the store: `AGEB_STORE`, else `store` in the cache's folder. */
export function storeFolder(): string {
  return process.env.AGEB_STORE || join(cacheFolder(), 'store')
}

/**
 * A store in a folder, which several processes and machines may share:
 *
 * ```
 * <stage>/<key>/             an entry: the files, and entry.json, which says what they are and their digests
 * <stage>/<key>.lease        who makes the entry now
 * <stage>/<key>.scratch/     what unfinished work is resumed from
 * <stage>/<key>.….part       what is being written
 * <stage>/<key>.….trash      what is being removed
 * ```
 *
 * An entry appears by one rename and is never changed. Sizes are checked on every use. Digests are checked when
 * this object meets an entry for the first time or finds that a file was touched; that takes about a second per
 * gigabyte, little beside the work that it stands for.
 *
 * Where the folder cannot be written, outputs are made in a temporary folder that is removed with the process.
 */
export class FolderStore implements Store {
  readonly where: string
  readonly #staleSeconds: number
  /** Fingerprints of the entries whose digests were found to be correct, by folder. */
  readonly #checked = new Map<string, string>()
  /** What was last reported about damaged entries, by folder. */
  readonly #told = new Map<string, string>()
  #substitute: FolderStore | undefined

  /**
   * @param root made when something is stored
   * @param options.staleSeconds after how many seconds of silence the lease of a process on another machine is
   *   taken over; all that share a store must use the same
   */
  constructor(root = storeFolder(), { staleSeconds = 30 } = {}) {
    this.where = root
    this.#staleSeconds = staleSeconds
  }

  async get(id: EntryId, options: StoreOptions): Promise<StoredEntry | undefined> {
    const folder = join(this.where, id.stage, id.key)
    const record = await this.#whole(folder, id, options)
    if (!record) return this.#substitute?.get(id, options)
    await markUsed(folder)
    return { folder, seconds: record.seconds, machine: record.machine }
  }

  async lease(id: EntryId, options: StoreOptions): Promise<Lease | undefined> {
    if (this.#substitute) return this.#substitute.lease(id, options)
    const place = join(this.where, id.stage, id.key)
    const watch = new LeaseWatch(`${place}.lease`, this.#staleSeconds)
    let waitsFor = ''
    try {
      await ensureFolder(join(this.where, id.stage))
      for (;;) {
        options.signal?.throwIfAborted()
        const created = await LeaseFile.create(`${place}.lease`, this.#staleSeconds)
        if (created) return this.#begun(place, id, created)
        const seen = await watch.look()
        if (!seen) return undefined
        const taken = await watch.takeOverIfStale()
        if (taken) return this.#begun(place, id, taken)
        const who = seen.holder ? `process ${seen.holder.pid} on ${seen.holder.host}` : 'an unknown process'
        // A lease that was created just now names its holder in a moment.
        if (who !== waitsFor && (seen.holder || watch.silentSeconds > this.#staleSeconds / 6)) {
          options.monitor.say(`${title(id)}: waiting for ${who}, which does the same work`)
          waitsFor = who
        }
        await watch.pause(options.signal)
      }
    } catch (error) {
      if (!isForbidden(error)) throw errorCode(error) === '' ? error : cannotBeWritten(this.where, error)
      if (!this.#substitute) {
        this.#substitute = temporaryStore(this.#staleSeconds)
        options.monitor.say(
          `the store ${this.where} cannot be written (${errorCode(error)}): results are kept in a temporary folder and lost when the program ends`,
        )
      }
      return this.#substitute.lease(id, options)
    }
  }

  #begun(place: string, id: EntryId, file: LeaseFile): FolderLease {
    return new FolderLease(place, id, file, (folder, mark) => {
      this.#checked.set(folder, mark)
      this.#told.delete(folder)
    })
  }

  /** The record of an entry that is there and complete. */
  async #whole(folder: string, id: EntryId, options: StoreOptions): Promise<EntryRecord | undefined> {
    const record = await readEntry(folder, id)
    if (!record) return undefined
    const found = await this.#damage(folder, record, options)
    if (!found) return 'damage' in record ? undefined : record
    // Once: the entry is looked at again before it is made again.
    if (this.#told.get(folder) !== found.damage) {
      options.monitor.say(`${title(id)}: the stored result ${found.damage}; it is made again`)
    }
    this.#told.set(folder, found.damage)
    return undefined
  }

  async #damage(
    folder: string,
    record: EntryRecord | Damage,
    options: StoreOptions,
  ): Promise<Damage | undefined> {
    if ('damage' in record) return record
    const mark = await fingerprint(folder, record)
    if (typeof mark !== 'string') return mark
    if (this.#checked.get(folder) === mark) return undefined
    const damage = await checkWithBar(folder, record, options)
    if (!damage) this.#checked.set(folder, mark)
    return damage
  }
}

/** Checks digests, with a bar if that takes more than a moment. */
async function checkWithBar(folder: string, record: EntryRecord, { monitor, signal }: StoreOptions) {
  const total = bytesOf(record)
  const bar = total > 2 ** 30 ? monitor.progress(`checking ${record.stage}`, total) : undefined
  let done = 0
  try {
    return await checkDigests(folder, record, bytes => {
      signal?.throwIfAborted()
      done += bytes
      bar?.update(done)
    })
  } finally {
    bar?.stop()
  }
}

/** How an entry is named to a person. */
function title({ stage, key }: { stage: string; key: string }): string {
  return `${stage} ${key.slice(0, 12)}`
}

/** A store for this process alone, removed when it ends. */
function temporaryStore(staleSeconds: number): FolderStore {
  let root: string
  try {
    root = mkdtempSync(join(tmpdir(), 'ageb-store-'))
  } catch (error) {
    throw cannotBeWritten(tmpdir(), error)
  }
  process.once('exit', () => rmSync(root, { recursive: true, force: true }))
  return new FolderStore(root, { staleSeconds })
}
