import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** A seeded stream of random numbers. */
export interface Rng {
  /** Uniform in [0, 1). */
  uniform(): number
  /** Uniform integer in [0, n). */
  int(n: number): number
  /** Standard normal (Box–Muller). */
  normal(): number
  /** A uniformly random order of 0 … n−1 (Fisher–Yates). */
  permutation(n: number): Int32Array
}

/**
 * The random stream of one purpose: `rng(seed, 'shuffle', epoch)`.
 *
 * A stream is named, never carried along: whatever resumes in the middle derives the very stream that the
 * uninterrupted program would have used, so no generator state has to be saved.
 */
export function rng(seed: number, ...purpose: (string | number)[]): Rng {
  const generator = xoroshiro128plus(hash([seed, ...purpose].join('/')))
  const int = (n: number) => uniformInt(generator, 0, n - 1)
  const uniform = () => uniformFloat64(generator)
  return {
    uniform,
    int,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    permutation(n) {
      const order = Int32Array.from({ length: n }, (_, i) => i)
      for (let i = n - 1; i > 0; i--) {
        const j = int(i + 1)
        const held = order[i]!
        order[i] = order[j]!
        order[j] = held
      }
      return order
    },
  }
}

/** FNV-1a over UTF-16 units with a final avalanche (the finalizer of MurmurHash3), as a signed 32-bit integer. */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
