import { cannotBeWritten, isOutOfSpace } from '../files/write-file.js'
import { type Monitor, silent } from '../runs/monitor.js'
import { type EntryId, entryId, type Stage } from './stage.js'
import type { Store, StoredEntry } from './store.js'

/** The output of a stage, and what a run notes about it. */
export interface StageResult<O> {
  readonly output: O
  /** Of the output: later stages have it in their own keys. */
  readonly key: string
  /** Whether the output was there already. */
  readonly reused: boolean
  /** How long the work took, whoever did it. */
  readonly seconds: number
  /** The machine that did it, in words. */
  readonly machine: string
}

export interface RunStageOptions {
  readonly store: Store
  readonly monitor?: Monitor
  /** Stops the work in an orderly way; it is resumed the next time. */
  readonly signal?: AbortSignal | undefined
}

interface Work {
  readonly signal: AbortSignal | undefined
  readonly outcome: Promise<{ entry: StoredEntry; reused: boolean }>
}

/** The work that this process is doing now. */
const underWay = new WeakMap<Store, Map<string, Work>>()

/**
 * The output of a stage: from the store, or made now and stored. However many ask for it, in this process and in
 * others, the work is done once.
 *
 * @throws what the stage throws; InputError if the disk is full; the signal's reason if it is aborted
 */
export async function runStage<I, O>(
  stage: Stage<I, O>,
  input: I,
  { store, monitor = silent, signal }: RunStageOptions,
): Promise<StageResult<O>> {
  const id = entryId(stage.name, stage.version, stage.key(input))
  for (let pruned = false; ; ) {
    const { entry, reused } = await once(store, id, signal, () =>
      entryOf(stage, input, id, store, monitor, signal),
    )
    try {
      const output = await stage.open(entry.folder, input)
      return { output, key: id.key, reused, seconds: entry.seconds, machine: entry.machine }
    } catch (error) {
      // Someone may have pruned the entry just now. If it is still there and whole, it is the stage that failed.
      if (pruned || (await store.get(id, { monitor, signal }))) throw error
      pruned = true
    }
  }
}

async function entryOf<I, O>(
  stage: Stage<I, O>,
  input: I,
  id: EntryId,
  store: Store,
  monitor: Monitor,
  signal: AbortSignal | undefined,
): Promise<{ entry: StoredEntry; reused: boolean }> {
  for (;;) {
    signal?.throwIfAborted()
    const found = await store.get(id, { monitor, signal })
    if (found) return { entry: found, reused: true }
    const lease = await store.lease(id, { monitor, signal })
    if (!lease) continue
    try {
      // Whoever had the lease until now may have finished since the store was asked.
      const finished = await store.get(id, { monitor, signal })
      if (finished) return { entry: finished, reused: true }
      const { folder, scratch } = await lease.begin()
      const stop = signal ? AbortSignal.any([signal, lease.lost]) : lease.lost
      await stage.run(input, { folder, scratch, signal: stop, monitor })
      return { entry: await lease.put(), reused: false }
    } catch (error) {
      if (isOutOfSpace(error)) throw cannotBeWritten(store.where, error)
      if (signal?.aborted || (await lease.check())) throw error
      monitor.say(`${stage.name}: another process took the work over, because this one stood still`)
    } finally {
      await lease.release()
    }
  }
}

/** Joins equal work that this process is already doing, or begins it. */
async function once(
  store: Store,
  { stage, key }: EntryId,
  signal: AbortSignal | undefined,
  begin: () => Work['outcome'],
): Work['outcome'] {
  const works = underWay.get(store) ?? new Map<string, Work>()
  underWay.set(store, works)
  const name = `${stage}/${key}`
  for (;;) {
    const other = works.get(name)
    if (!other) break
    try {
      return { ...(await unlessAborted(other.outcome, signal)), reused: true }
    } catch (error) {
      // Whoever began it was stopped, which is no reason for this one to stop.
      if (signal?.aborted || !other.signal?.aborted) throw error
    }
  }
  const work = { signal, outcome: begin().finally(() => works.delete(name)) }
  works.set(name, work)
  return work.outcome
}

/** The promise's value, or the signal's reason if that comes first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
