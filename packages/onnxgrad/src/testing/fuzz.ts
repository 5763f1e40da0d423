import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { InputError } from '../errors.js'

/** Seeded choices: the same seed gives the same mutants. */
export interface Choices {
  /** Uniform in [0, n). */
  int(n: number): number
  of<T>(from: readonly T[]): T
}

export interface FuzzOptions<T> {
  readonly mutants: number
  /** The i-th mutant. */
  readonly mutant: (choices: Choices, i: number) => T
  /** Reads a mutant: returns if it is sound, throws InputError if it is not. Anything else is a fault. */
  readonly attempt: (mutant: T) => void | Promise<void>
  /** What a refusal has to name, such as the file. */
  readonly naming?: string
}

export interface FuzzReport {
  readonly mutants: number
  /** How many were read, and how many refused in a sentence. */
  readonly read: number
  readonly refused: number
  /** What neither was: number of the mutant and what it ended in. */
  readonly faults: readonly string[]
  readonly slowestMs: number
  /** Memory in use after a tenth of the mutants and after all of them, MiB; garbage collected before. */
  readonly usedMiB: readonly [number, number]
  /** Largest resident memory of the process, MiB. */
  readonly peakRssMiB: number
}

const LONGEST_MESSAGE = 1000

/** Reads mutants of sound files one after the other. Wants `node --expose-gc`, and a process of its own. */
export async function fuzz<T>({
  mutants,
  mutant,
  attempt,
  naming = '',
}: FuzzOptions<T>): Promise<FuzzReport> {
  const faults: string[] = []
  let [read, slowestMs, early] = [0, 0, 0]
  for (let i = 0; i < mutants; i++) {
    if (i === Math.floor(mutants / 10)) early = await usedMiB()
    const file = mutant(choicesOf(i), i)
    const start = performance.now()
    try {
      await attempt(file)
      read++
    } catch (error) {
      const fault = faultOf(error, naming)
      if (fault !== null) faults.push(`mutant ${i}: ${fault}`)
    }
    slowestMs = Math.max(slowestMs, performance.now() - start)
  }
  return {
    mutants,
    read,
    refused: mutants - read - faults.length,
    faults,
    slowestMs,
    usedMiB: [early, await usedMiB()],
    peakRssMiB: process.resourceUsage().maxRSS / 1024,
  }
}

function choicesOf(seed: number): Choices {
  const generator = xoroshiro128plus(seed)
  const int = (n: number) => uniformInt(generator, 0, n - 1)
  return { int, of: from => from[int(from.length)]! }
}

/** Null if the error is a refusal as it should be. */
function faultOf(error: unknown, naming: string): string | null {
  // By name: a UsageError of the workbench, which onnxgrad does not know, is a refusal, too.
  const isRefusal = error instanceof InputError || (error instanceof Error && error.name === 'UsageError')
  if (!isRefusal) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const { message } = error
  if (message.includes('\n')) return `a message of several lines: ${message}`
  if (!message.includes(naming)) return `a message that does not name ${naming}: ${message}`
  if (message.length > LONGEST_MESSAGE)
    return `a message of ${message.length} characters: ${message.slice(0, 200)}…`
  return null
}

async function usedMiB(): Promise<number> {
  // What is kept until its finalizer has run is free only after a turn of the event loop.
  for (let times = 0; times < 3; times++) {
    globalThis.gc?.()
    await new Promise(resolve => setTimeout(resolve))
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 2 ** 20
}

/** A copy with some damage: bits flipped, bytes overwritten, cut off, repeated, moved or put in. */
export function damaged(bytes: Uint8Array, choices: Choices): Uint8Array {
  const { int, of } = choices
  const at = int(bytes.length)
  const length = 1 + int(Math.min(64, bytes.length - at))
  const join = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap(part => [...part]))
  switch (int(8)) {
    case 0:
      return bytes.slice(0, at)
    case 1:
      return join(bytes.subarray(0, at), bytes.subarray(at + length))
    case 2:
      return join(bytes.subarray(0, at + length), bytes.subarray(at))
    case 3:
      return join(
        bytes.subarray(0, at),
        Uint8Array.from({ length }, () => int(256)),
        bytes.subarray(at),
      )
    case 4: {
      const other = int(bytes.length)
      const copy = bytes.slice()
      copy.set(bytes.subarray(at, at + Math.min(length, bytes.length - other)), other)
      return copy
    }
    case 5:
      return bytes.slice().fill(of([0, 0x7f, 0x80, 0xff]), at, at + length)
    default: {
      const copy = bytes.slice()
      for (let n = 1 + int(8); n > 0; n--) copy[int(copy.length)]! ^= 1 << int(8)
      return copy
    }
  }
}

/** Numbers at the edges of what files hold. */
export const edges = [
  0,
  1,
  -1,
  2,
  3,
  7,
  10,
  255,
  65537,
  1e6,
  1e9,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
  2 ** 53,
  2 ** 60,
  2 ** 62,
  -(2 ** 62),
]
