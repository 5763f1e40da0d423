/** A person, or the system, asked the program to stop. */
export class Interrupted extends Error {
  override name = 'Interrupted'
}

/** What stops work in an orderly way. */
export interface Interruption {
  /** Aborts on the first SIGINT, SIGTERM or SIGHUP, or when standard error is closed; an `Interrupted` is the reason. */
  readonly signal: AbortSignal
  /** Stops listening. */
  end(): void
}

/** SIGHUP: the terminal was closed. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Listens for Ctrl-C, SIGTERM, and the end of whoever watches (a closed terminal, a closed standard error): the first
 * aborts the signal, so that work can be saved; a second signal ends the program at once.
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
  // No one reads what the run says any more.
  const abandon = () => controller.abort(new Interrupted('interrupted'))
  const end = () => {
    for (const signal of signals) process.off(signal, stop)
    process.stderr.off('error', abandon)
  }
  for (const signal of signals) process.on(signal, stop)
  process.stderr.on('error', abandon)
  return { signal: controller.signal, end }
}
