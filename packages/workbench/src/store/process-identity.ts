import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { availableParallelism, cpus, hostname } from 'node:os'
import { z } from 'zod'

/** Who holds a lease. */
export const holderSchema = z.object({
  /** Different for every lease. */
  token: z.string().regex(/^[a-z0-9-]{1,64}$/),
  host: z.string().max(256),
  /** Where process ids mean the same: one start of one system, one container. */
  space: z.string().max(256),
  pid: z.int().positive(),
  /** When the process started, as its system counts: process ids are used again. '' if it does not tell. */
  started: z.string().max(64),
})
export type Holder = z.infer<typeof holderSchema>

/** This process as the holder of a new lease. */
export function newHolder(): Holder {
  return { token: randomUUID(), host: hostname(), space: ownSpace, pid: process.pid, started: ownStart }
}

/**
 * What is known about a holder from here. `alive` and `dead` are certain; of a process on another machine, or
 * where the system does not tell when a process started, it is `unknown`.
 */
export function vitality({ space, pid, started }: Holder): 'alive' | 'dead' | 'unknown' {
  if (space !== ownSpace) return 'unknown'
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return 'dead'
  }
  const stat = processStat(pid)
  if (!stat || started === '') return 'unknown'
  if (stat.ended || stat.started !== started) return 'dead'
  // This very process may have failed to remove a lease that it no longer keeps alive.
  return pid === process.pid ? 'unknown' : 'alive'
}

/** The machine in words, such as `2 cores, Intel Xeon`. */
export function machineInWords(): string {
  return `${availableParallelism()} cores, ${cpus()[0]?.model.trim() || 'unknown processor'}`
}

/** From Linux's /proc; undefined on other systems, and for processes that it hides. */
function processStat(pid: number | 'self'): { ended: boolean; started: string } | undefined {
  try {
    // The second field is the program's name in parentheses, which may itself have spaces and parentheses.
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { ended: fields[0] === 'Z' || fields[0] === 'X', started: fields[19] ?? '' }
  } catch {
    return undefined
  }
}

function readSpace(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return `host ${hostname()}`
  }
}

const ownSpace = readSpace()
const ownStart = processStat('self')?.started ?? ''
