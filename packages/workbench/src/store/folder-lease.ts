import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { openSealedJson, sealedJson } from '../files/sealed-json.js'
import { cannotBeWritten, errorCode, writeFileWhole } from '../files/write-file.js'
import { type EntryRecord, fingerprint, readEntry, sealEntry } from './entry.js'
import type { LeaseFile } from './lease-file.js'
import { machineInWords } from './process-identity.js'
import type { EntryId } from './stage.js'
import type { Lease, StoredEntry } from './store.js'

const effortSchema = z.object({ seconds: z.number().nonnegative(), machine: z.string() })
/** What the work on an entry has taken so far. */
type Effort = z.infer<typeof effortSchema>

/** The right to make an entry of a `FolderStore`, and the folders in which it is made. */
export class FolderLease implements Lease {
  readonly #place: string
  readonly #id: EntryId
  readonly #file: LeaseFile
  readonly #onPut: (folder: string, fingerprint: string) => void
  readonly #folder: string
  #earlier: Effort | undefined
  #began = 0
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> = Promise.resolve()

  /**
   * @param place the folder that the entry will be
   * @param onPut told the fingerprint of an entry whose digests need no check, because they were taken just now
   */
  constructor(
    place: string,
    id: EntryId,
    file: LeaseFile,
    onPut: (folder: string, fingerprint: string) => void,
  ) {
    this.#place = place
    this.#id = id
    this.#file = file
    this.#onPut = onPut
    this.#folder = `${place}.${file.holder.token}.part`
  }

  get lost(): AbortSignal {
    return this.#file.lost
  }

  check(): Promise<boolean> {
    return this.#file.check()
  }

  async begin(): Promise<{ folder: string; scratch: string }> {
    const files = join(this.#scratch, 'files')
    try {
      await this.#sweep()
      // What lies in the entry's place is damaged: otherwise there would be nothing to begin.
      await removeWhole(this.#place, this.#file.holder.token)
      await mkdir(files, { recursive: true })
      await mkdir(this.#folder)
    } catch (error) {
      throw cannotBeWritten(dirname(this.#place), error)
    }
    // Only what is resumed from counts: time that left nothing behind is not in the result.
    if ((await readdir(files)).length > 0) this.#earlier = await this.#readEffort()
    this.#began = performance.now()
    this.#timer = setInterval(() => this.#saveEffort(), 5000).unref()
    return { folder: this.#folder, scratch: files }
  }

  async put(): Promise<StoredEntry> {
    await this.#stopClock()
    const record = await this.#moveIn(await sealEntry(this.#folder, this.#id, this.#effort()))
    // Whoever took the lease over may be working with the scratch.
    if (await this.check()) await rm(this.#scratch, { recursive: true, force: true }).catch(() => {})
    return { folder: this.#place, seconds: record.seconds, machine: record.machine }
  }

  async release(): Promise<void> {
    if (this.#timer) {
      this.#saveEffort()
      await this.#stopClock()
    }
    await rm(this.#folder, { recursive: true, force: true }).catch(() => {})
    // A scratch in which nothing was left is no unfinished work.
    if ((await readdir(join(this.#scratch, 'files')).catch(() => ['unknown'])).length === 0) {
      await rm(this.#scratch, { recursive: true, force: true }).catch(() => {})
    }
    await this.#file.release()
  }

  get #scratch(): string {
    return `${this.#place}.scratch`
  }

  async #moveIn(record: EntryRecord): Promise<EntryRecord> {
    const mark = await fingerprint(this.#folder, record)
    try {
      await rename(this.#folder, this.#place)
    } catch (error) {
      // If another process took the work over and was faster, its entry lies there already, and is the same.
      const other = await readEntry(this.#place, this.#id)
      if (other && !('damage' in other)) return other
      throw cannotBeWritten(this.#place, error)
    }
    if (typeof mark === 'string') this.#onPut(this.#place, mark)
    return record
  }

  /** Removes what earlier holders of the lease were writing or removing when they were killed. */
  async #sweep(): Promise<void> {
    const folder = dirname(this.#place)
    for (const name of await readdir(folder)) {
      if (!name.startsWith(`${basename(this.#place)}.`) || !/\.(part|trash)$/.test(name)) continue
      await rm(join(folder, name), { recursive: true, force: true })
    }
  }

  #effort(): Effort {
    const seconds = (performance.now() - this.#began) / 1000
    const machine = machineInWords()
    if (!this.#earlier) return { seconds, machine }
    const { machine: before } = this.#earlier
    return {
      seconds: this.#earlier.seconds + seconds,
      machine: before.endsWith(machine) ? before : `${before}, then ${machine}`,
    }
  }

  #saveEffort(): void {
    const text = sealedJson(this.#effort())
    this.#saving = this.#saving
      .then(() => writeFileWhole(join(this.#scratch, 'effort.json'), text))
      // The seconds are for information: no work fails for them.
      .catch(() => {})
  }

  async #stopClock(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#saving
  }

  async #readEffort(): Promise<Effort | undefined> {
    try {
      return effortSchema.parse(openSealedJson(await readFile(join(this.#scratch, 'effort.json'), 'utf8')))
    } catch {
      return undefined
    }
  }
}

/**
 * Removes a folder of the store so that others see it whole or not at all: renamed first, then deleted.
 *
 * @param token of the lease under which this is done
 */
export async function removeWhole(place: string, token: string): Promise<void> {
  const trash = `${place}.${token}.trash`
  try {
    await rename(place, trash)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  await rm(trash, { recursive: true, force: true })
}
