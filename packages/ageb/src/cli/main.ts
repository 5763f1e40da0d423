import { CommanderError } from 'commander'
import { Interrupted } from './interruption.js'
import { makeProgram } from './program.js'

/** Exit codes: all went well, something failed, wrong usage, a person stopped it. */
export const exitCodes = { success: 0, failure: 1, misuse: 2, interrupted: 130 } as const

/**
 * Runs the program.
 *
 * @param args the words after the program's name
 * @returns the exit code; what went wrong is on standard error
 */
export async function main(args: readonly string[]): Promise<number> {
  // Libraries print notes with console.debug, which goes to standard output: that belongs to results.
  console.debug = (...words: unknown[]) => console.error(...words)
  // A reader that has seen enough (`ageb … | head -1`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.success)
    process.exit(report(new Error(`standard output cannot be written: ${error.message}`)))
  })
  // What cannot be said is left unsaid; a run notices it (`listenForInterruption`) and stops with its state saved.
  process.stderr.on('error', () => {})
  process.on('uncaughtException', error => process.exit(report(error)))
  try {
    await makeProgram().parseAsync(args, { from: 'user' })
    return exitCodes.success
  } catch (error) {
    return report(error)
  }
}

/** Reports what went wrong, in one line on standard error, and returns the exit code for it. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has printed its message, or the help that was asked for. `ageb` alone is no request.
    return error.exitCode === 0 ? exitCodes.success : exitCodes.misuse
  }
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
  const sentence = message.trim().replaceAll(/\s*\n\s*/g, ' ')
  process.stderr.write(error instanceof Interrupted ? `${sentence}\n` : `ageb: ${sentence || name}\n`)
  if (error instanceof Interrupted) return exitCodes.interrupted
  if (process.env.AGEB_DEBUG === '1') process.stderr.write(`${stack}\n`)
  // By name: to import the class would load the YAML parser every time.
  return name === 'UsageError' ? exitCodes.misuse : exitCodes.failure
}
