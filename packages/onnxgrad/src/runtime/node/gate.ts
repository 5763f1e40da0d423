const [INSIDE, SHUT] = [0, 1]

/**
 * Tells a worker thread that is inside the runtime from one that is not. To tear a thread down in the middle of a
 * native call aborts the whole process; where that is about to happen, the gate is shut and its being left awaited.
 */
export class Gate {
  readonly #flags: Int32Array<SharedArrayBuffer>

  /** @param memory that of a gate in another thread, to be the same gate. */
  constructor(readonly memory = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) {
    this.#flags = new Int32Array(memory)
  }

  /** Does the work inside; one at a time. Throws Error if the gate is shut. */
  async pass<T>(work: () => T | Promise<T>): Promise<T> {
    // First in, then a look whether it is shut; shut() and waitUntilLeft() in the other order: one of the two
    // threads sees the other.
    Atomics.store(this.#flags, INSIDE, 1)
    try {
      if (Atomics.load(this.#flags, SHUT) === 1) throw new Error('the runtime was closed')
      return await work()
    } finally {
      Atomics.store(this.#flags, INSIDE, 0)
      Atomics.notify(this.#flags, INSIDE)
    }
  }

  /** Lets nobody in any more. */
  shut(): void {
    Atomics.store(this.#flags, SHUT, 1)
  }

  /** Blocks this thread until nobody is inside, or a minute has gone: a thread may have died in there. */
  waitUntilLeft(): void {
    Atomics.wait(this.#flags, INSIDE, 1, 60_000)
  }
}
