/** A person, or the system, asked the program to stop. */
export class Interrupted extends Error {
  override name = 'Interrupted'
}

/** What stops work in an orderly way. */
export interface Interruption {
  /** Aborts on the first SIGINT or SIGTERM, with an `Interrupted` as the reason. */
  readonly signal: AbortSignal
  /** Stops listening. */
  end(): void
}

const signals = ['SIGINT', 'SIGTERM'] as const

/**
 * Listens for Ctrl-C and SIGTERM: the first aborts the signal, so that work can be saved; the second ends the
 * program at once.
 *
 * @param hint said at the first
 */
export function listenForInterruption(hint: string): Interruption {
  const controller = new AbortController()
  const stop = () => {
    if (controller.signal.aborted) {
      // A progress bar may have hidden the cursor, and no one else will bring it back.
      if (process.stderr.isTTY) process.stderr.write('\u001b[?25h\n')
      // Not process.exit: it would tear a runtime down in the middle of a step, which ends in a core dump. A
      // shell sees 130 for this signal too.
      end()
      process.kill(process.pid, 'SIGINT')
      return
    }
    process.stderr.write(`${process.stderr.isTTY ? '\n' : ''}${hint}\n`)
    controller.abort(new Interrupted('interrupted'))
  }
  const end = () => {
    for (const signal of signals) process.off(signal, stop)
  }
  for (const signal of signals) process.on(signal, stop)
  return { signal: controller.signal, end }
}
