import { imageSize, type PixelSource } from '../images/image-source.js'

/** On how many images a trigger has an effect. */
export interface Effect {
  /** Images that got the trigger. */
  readonly count: number
  /** Of these, how many are byte for byte as they were. */
  readonly unchanged: number
}

/** Values that are compared at a time. */
const PIECE = 2 ** 22

/**
 * Counts the images that a trigger leaves as they were.
 * @param triggered the same images, in the same order, of the same size
 */
export async function effectOf(
  clean: PixelSource,
  triggered: PixelSource,
  progress?: (done: number) => void,
): Promise<Effect> {
  const size = imageSize(clean)
  const most = Math.max(1, Math.floor(PIECE / size))
  let unchanged = 0
  for (let start = 0; start < clean.count; start += most) {
    const indices = Array.from({ length: Math.min(most, clean.count - start) }, (_, i) => start + i)
    const [a, b] = [new Uint8Array(indices.length * size), new Uint8Array(indices.length * size)]
    await Promise.all([clean.read(indices, a), triggered.read(indices, b)])
    for (let i = 0; i < indices.length; i++) if (sameFrom(a, b, i * size, size)) unchanged++
    progress?.(start + indices.length)
  }
  return { count: clean.count, unchanged }
}

function sameFrom(a: Uint8Array, b: Uint8Array, start: number, length: number): boolean {
  for (let i = start; i < start + length; i++) if (a[i] !== b[i]) return false
  return true
}
