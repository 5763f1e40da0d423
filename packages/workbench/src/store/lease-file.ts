import { type FileHandle, open, rename, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../files/write-file.js'
import { type Holder, holderSchema, newHolder, vitality } from './process-identity.js'

/**
 * A lease is a file that exactly one process can create and that it touches while it lives. Clocks of different
 * machines are never compared: whoever waits looks whether the file changes, by its own clock.
 *
 * A lease ends by its holder or, if that is dead or silent, by another who takes it over. Only one of them may do
 * so: the one that created the lease's claim file. Otherwise, of two waiters that both found the lease of a dead
 * process, the slower would end the lease that the faster has just made.
 */

/** What was seen of a lease file. */
export interface LeaseSight {
  /** Differs whenever the file was touched or replaced. */
  readonly mark: string
  /** Undefined if the file holds no holder: its maker was stopped between creating and writing it. */
  readonly holder: Holder | undefined
  /** Last touched, by the clock of whoever did it. */
  readonly touched: Date
}

/** A lease that this process holds. */
export class LeaseFile {
  readonly holder: Holder
  readonly #path: string
  readonly #handle: FileHandle
  readonly #timer: NodeJS.Timeout
  readonly #lost = new AbortController()
  #beating: Promise<void> = Promise.resolve()

  private constructor(path: string, holder: Holder, handle: FileHandle, staleSeconds: number) {
    this.holder = holder
    this.#path = path
    this.#handle = handle
    const beat = () => {
      this.#beating = this.#beating.then(() => this.#beat())
    }
    this.#timer = setInterval(beat, (1000 * staleSeconds) / 6).unref()
  }

  /** Aborted when another process turned out to have taken the lease over. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /**
   * Creates the lease; undefined if there is one.
   *
   * @param staleSeconds after how many seconds of silence others may take it over
   * @throws Error of the file system
   */
  static async create(path: string, staleSeconds: number): Promise<LeaseFile | undefined> {
    const holder = newHolder()
    const handle = await createWith(path, holder)
    return handle && new LeaseFile(path, holder, handle, staleSeconds)
  }

  /**
   * Takes over the lease that was seen; undefined if another does so, or it has changed since.
   *
   * @param patience whether claims of processes of which nothing is known count as abandoned
   */
  static async takeOver(
    path: string,
    seen: LeaseSight,
    staleSeconds: number,
    patience = false,
  ): Promise<LeaseFile | undefined> {
    const holder = newHolder()
    const claims = await claim(path, seen.holder?.token ?? 'unknown', holder, patience)
    if (claims.length === 0) return undefined
    const beside = `${path}.${holder.token}.next`
    try {
      const handle = await createWith(beside, holder)
      if ((await lookAtLease(path))?.mark === seen.mark && handle) {
        await rename(beside, path)
        return new LeaseFile(path, holder, handle, staleSeconds)
      }
      await handle?.close()
      return undefined
    } finally {
      await rm(beside, { force: true })
      await removeAll(claims)
    }
  }

  /** Ends the lease, unless another took it over. Never throws. */
  async release(): Promise<void> {
    clearInterval(this.#timer)
    await this.#beating
    try {
      const claims = await claim(this.#path, this.holder.token, this.holder, false)
      try {
        if (claims.length > 0 && (await this.check())) await rm(this.#path, { force: true })
      } finally {
        await removeAll(claims)
      }
    } catch {
      // The disk may be gone or full. Others see that the lease is no longer touched.
    }
    await this.#handle.close().catch(() => {})
  }

  /** Whether this process still holds the lease, as far as can be told; if not, `lost` is aborted. Never throws. */
  async check(): Promise<boolean> {
    try {
      const seen = await lookAtLease(this.#path)
      if (seen?.holder?.token === this.holder.token) return true
    } catch {
      // A disk that does not answer says nothing of the lease.
      return true
    }
    if (!this.lost.aborted) this.#lost.abort(new Error(`${this.#path} was taken over by another process`))
    return false
  }

  async #beat(): Promise<void> {
    try {
      const now = new Date()
      // By the handle: the path may be another's by now.
      await this.#handle.utimes(now, now)
    } catch {
      // A disk that does not answer for a moment; the next beat tries again.
    }
    await this.check()
  }
}

/** Watches a lease that another holds. */
export class LeaseWatch {
  readonly #path: string
  readonly #staleSeconds: number
  #seen: LeaseSight | undefined
  #silent = 0
  #pause = 0.05
  #last = 0

  constructor(path: string, staleSeconds: number) {
    this.#path = path
    this.#staleSeconds = staleSeconds
  }

  /** For how long the lease was seen not to change. */
  get silentSeconds(): number {
    return this.#silent
  }

  /** Looks at the lease: undefined if there is none. */
  async look(): Promise<LeaseSight | undefined> {
    const now = performance.now() / 1000
    const seen = await lookAtLease(this.#path)
    // If this process itself stood still in between, the holder may have done so too (a laptop asleep, say).
    const passed = Math.min(now - this.#last, 2 * this.#pause)
    this.#silent = seen?.mark === this.#seen?.mark ? this.#silent + passed : 0
    this.#last = now
    this.#seen = seen
    return seen
  }

  /** Takes over what was seen last if its holder is dead, or silent for too long; undefined otherwise. */
  async takeOverIfStale(): Promise<LeaseFile | undefined> {
    if (!this.#seen) return undefined
    const state = this.#seen.holder ? vitality(this.#seen.holder) : 'unknown'
    const stale = state === 'dead' || (state === 'unknown' && this.#silent >= this.#staleSeconds)
    if (!stale) return undefined
    const patience = this.#silent >= 2 * this.#staleSeconds
    return LeaseFile.takeOver(this.#path, this.#seen, this.#staleSeconds, patience)
  }

  /** Waits a little before the next look. */
  async pause(signal: AbortSignal | undefined): Promise<void> {
    await sleep(1000 * this.#pause, undefined, signal && { signal }).catch(error => {
      throw signal?.aborted ? signal.reason : error
    })
    this.#pause = Math.min(1.3 * this.#pause, 1, this.#staleSeconds / 6)
  }
}

/**
 * Whether a lease is of a process that has ended, as far as one look can tell: of another machine's that is so if
 * it has not been touched for a day, by whatever clock.
 */
export function isAbandoned({ holder, touched }: LeaseSight): boolean {
  const state = holder ? vitality(holder) : 'unknown'
  return state === 'dead' || (state === 'unknown' && Date.now() - touched.getTime() > 24 * 3600 * 1000)
}

/** Looks at a lease file, or a claim; undefined if there is none. */
export async function lookAtLease(path: string): Promise<LeaseSight | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    // Opened, because a network file system then asks its server and does not answer from memory.
    const { ino, mtime, mtimeMs } = await handle.stat()
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2048), 0, 2048, 0)
    const text = buffer.toString('utf8', 0, bytesRead)
    return { mark: `${ino} ${mtimeMs} ${text}`, holder: parseHolder(text), touched: mtime }
  } finally {
    await handle.close()
  }
}

/** The path of a claim to end the lease with a token. Claims are numbered: a later one follows a dead claimant. */
function claimPath(path: string, token: string, number: number): string {
  return `${path}.${token}.claim${number}`
}

/**
 * Claims the sole right to end the lease with this token, whether or not it still is there.
 *
 * @returns the claim files, to be removed when the lease has ended; none if another has the right
 */
async function claim(path: string, token: string, holder: Holder, patience: boolean): Promise<string[]> {
  const claims: string[] = []
  for (;;) {
    const next = claimPath(path, token, claims.length)
    claims.push(next)
    const handle = await createWith(next, holder)
    if (handle) {
      await handle.close()
      return claims
    }
    const other = await lookAtLease(next)
    if (!other) return []
    const state = other.holder ? vitality(other.holder) : 'unknown'
    if (state === 'alive' || (state === 'unknown' && !patience)) return []
  }
}

/** Creates a file that names its holder; undefined if it is there already. */
async function createWith(path: string, holder: Holder): Promise<FileHandle | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, 'wx')
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return undefined
    throw error
  }
  try {
    await writeFile(handle, JSON.stringify(holder))
    return handle
  } catch (error) {
    await handle.close()
    await rm(path, { force: true }).catch(() => {})
    throw error
  }
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true }).catch(() => {})
}

function parseHolder(text: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
