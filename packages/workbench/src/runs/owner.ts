import { UsageError } from '../configuration/resolve.js'
import { cannotBeWritten } from '../files/write-file.js'
import { LeaseFile, LeaseWatch } from '../store/lease-file.js'
import { vitality } from '../store/process-identity.js'
import { type Monitor, silent } from './monitor.js'

export interface OwnOptions {
  readonly monitor?: Monitor | undefined
  readonly signal?: AbortSignal | undefined
  /** Seconds without a sign of life after which an owner of which nothing is known counts as gone. Default: 30. */
  readonly staleSeconds?: number | undefined
}

/**
 * Makes this process the owner of a run. An owner that died on this machine is succeeded at once. One on another machine,
 * or one that a damaged lease does not name, is watched first.
 *
 * @param folder of the run
 * @param file the run's lease
 * @throws UsageError if another process owns the run; InputError if the lease cannot be written; the signal's reason
 */
export async function ownRun(
  folder: string,
  file: string,
  { monitor = silent, signal, staleSeconds = 30 }: OwnOptions = {},
): Promise<LeaseFile> {
  const watch = new LeaseWatch(file, staleSeconds)
  let first: string | undefined
  for (;;) {
    const created = await LeaseFile.create(file, staleSeconds).catch(error => {
      throw cannotBeWritten(file, error)
    })
    if (created) return created
    const seen = await watch.look()
    if (!seen) continue
    const taken = await watch.takeOverIfStale()
    if (taken) return taken
    const { holder, mark } = seen
    const isAlive = (holder && vitality(holder) === 'alive') || (first !== undefined && mark !== first)
    if (isAlive) {
      const { pid = 'unknown', host = 'unknown' } = holder ?? {}
      throw new UsageError(
        `${folder} is being worked on by process ${pid} on ${host}: wait for it, or stop it first`,
      )
    }
    if (first === undefined)
      monitor.say(
        `${file} does not tell whether the run's owner still works: waiting ${staleSeconds} seconds for a sign of it`,
      )
    first = mark
    await watch.pause(signal)
  }
}
