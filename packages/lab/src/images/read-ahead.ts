/** Batches that are read ahead of their use: no more, and not more than so many bytes of them, but always one. */
const AHEAD = 4
const AHEAD_BYTES = 2 ** 26

/** How many batches of so many bytes are to be read ahead. */
export function batchesAhead(bytes: number): number {
  return Math.max(1, Math.min(AHEAD, Math.floor(AHEAD_BYTES / bytes)))
}

/** Items that are made ahead of their use, several at a time, and used in order. */
export interface ReadAhead<T> {
  /** The next item. @throws what its making threw */
  next(): Promise<T>
  /** Begins to make items until as many are under way or ready as may be. */
  refill(): void
  /** Begins no more, and waits until nothing is under way. */
  end(): Promise<void>
}

/**
 * @param make makes item i; items are begun in order but may be finished in any.
 * @param first number of the first item.
 * @param end number behind the last item.
 * @param window items under way or ready besides the one in use, at least 1.
 */
export function readAhead<T>(
  make: (i: number) => Promise<T>,
  first: number,
  end: number,
  window: number,
): ReadAhead<T> {
  const ahead: Promise<T>[] = []
  let begun = first
  let last = end
  const begin = () => {
    const item = make(begun++)
    // An error is told when the item is asked for, not before.
    item.catch(() => {})
    ahead.push(item)
  }
  return {
    next() {
      if (ahead.length === 0) begin()
      return ahead.shift()!
    },
    refill() {
      while (begun < last && ahead.length < window) begin()
    },
    async end() {
      last = begun
      await Promise.allSettled(ahead)
    },
  }
}
