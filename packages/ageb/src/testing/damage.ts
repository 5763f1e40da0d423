import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import type { Rng } from '@ageb/lab'

/** One way to damage a file. */
export interface Damage {
  /** For messages: `bit 12,345 flipped`. */
  readonly what: string
  apply(file: string): void
}

/**
 * Damages to a file: emptied, truncated at `places` places and one bit flipped at as many, fewer where the file is so
 * small that places repeat.
 */
export function damagesOf(file: string, places: number, random: Rng): Damage[] {
  const size = readFileSync(file).length
  if (size === 0) return []
  const chosen = (n: number) => {
    const found = new Set<number>()
    for (let i = 0; i < places; i++) found.add(Math.floor(random.uniform() * n))
    return [...found]
  }
  return [
    { what: 'emptied', apply: path => truncateSync(path, 0) },
    ...chosen(size).map(at => ({
      what: `truncated to ${at} of ${size} bytes`,
      apply: (path: string) => truncateSync(path, at),
    })),
    ...chosen(8 * size).map(bit => ({ what: `bit ${bit} of ${8 * size} flipped`, apply: flip(bit) })),
  ]
}

const flip = (bit: number) => (path: string) => {
  const bytes = readFileSync(path)
  bytes[bit >> 3]! ^= 1 << (bit & 7)
  writeFileSync(path, bytes)
}
