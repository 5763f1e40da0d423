import { InputError } from '../errors.js'

/** What the runtime spent in nodes of one kind. */
export interface ProfileEntry {
  /** The operator, as the runtime ran it: what it made of the graph (fused operators, say). */
  readonly op: string
  /**
   * First part of the scope that the nodes were built in (`Graph.within`), numbers left out: `block0/…` to
   * `block11/…` are `block`. Empty where there is none.
   */
  readonly scope: string
  /** Nodes a run. */
  readonly calls: number
  /** Milliseconds a run. */
  readonly ms: number
}

/** Where the time of a model's runs went. */
export interface Profile {
  /** How many runs the means are of. */
  readonly runs: number
  /** Milliseconds of a run, all in all: what its entries do not come to is the runtime's own work. */
  readonly ms: number
  /** One of each operator in each scope, the longest first. */
  readonly entries: readonly ProfileEntry[]
}

interface RuntimeEvent {
  readonly cat: string
  readonly name: string
  /** Microseconds. */
  readonly ts: number
  readonly dur: number
  readonly args: { readonly op_name?: string }
}

/**
 * Sums up the profile that the runtime writes when a session that was loaded with the option `profile` is released.
 *
 * @param json the file's text
 * @param warmUp leave out so many runs at the start, in which memory is taken for the first time
 * @throws InputError if it is no profile, or has no run after the warm-up
 */
export function readProfile(json: string, warmUp = 0): Profile {
  const events = eventsOf(json)
  const runs = events
    .filter(({ cat, name }) => cat === 'Session' && name === 'model_run')
    .sort((a, b) => a.ts - b.ts)
    .slice(warmUp)
  if (runs.length === 0)
    throw new InputError(`the profile has no more than ${warmUp} runs: make more of them`)
  const from = runs[0]!.ts
  const sums = new Map<string, { op: string; scope: string; calls: number; ms: number }>()
  for (const { cat, name, ts, dur, args } of events) {
    if (cat !== 'Node' || args.op_name === undefined || !name.endsWith('_kernel_time') || ts < from) continue
    const [op, scope] = [args.op_name, scopeOf(name)]
    const sum = sums.get(`${op} ${scope}`) ?? { op, scope, calls: 0, ms: 0 }
    sums.set(`${op} ${scope}`, sum)
    sum.calls++
    sum.ms += dur / 1000
  }
  return {
    runs: runs.length,
    ms: runs.reduce((sum, { dur }) => sum + dur, 0) / 1000 / runs.length,
    entries: [...sums.values()]
      .map(sum => ({ ...sum, calls: sum.calls / runs.length, ms: sum.ms / runs.length }))
      .sort((a, b) => b.ms - a.ms),
  }
}

/** The entries joined by operator or by scope, the longest first. */
export function sumProfile(
  { entries }: Profile,
  by: 'op' | 'scope',
): { readonly name: string; readonly calls: number; readonly ms: number }[] {
  const sums = new Map<string, { name: string; calls: number; ms: number }>()
  for (const entry of entries) {
    const sum = sums.get(entry[by]) ?? { name: entry[by], calls: 0, ms: 0 }
    sums.set(entry[by], sum)
    sum.calls += entry.calls
    sum.ms += entry.ms
  }
  return [...sums.values()].sort((a, b) => b.ms - a.ms)
}

function eventsOf(json: string): RuntimeEvent[] {
  try {
    const events: unknown = JSON.parse(json)
    if (Array.isArray(events)) return events
  } catch {
    // Told below.
  }
  throw new InputError('the profile is no JSON array of events: release the session before it is read')
}

/** The outermost scope, whichever micro-batch it is in, without its number. */
function scopeOf(name: string): string {
  const within = name.replace(/^micro\d+\//, '')
  const end = within.indexOf('/')
  return end < 0 ? '' : within.slice(0, end).replace(/\d+$/, '')
}
