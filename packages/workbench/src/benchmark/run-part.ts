import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { InputError } from 'onnxgrad'
import type { BenchSettings, PartResults } from './settings.js'

export interface PartRequest {
  readonly part: keyof PartResults
  readonly settings: BenchSettings
}
export type PartAnswer = { readonly result: PartResults[keyof PartResults] } | { readonly error: string }

/**
 * Measures one part in a process of its own.
 *
 * @param signal ends the process
 * @throws InputError if it failed, or used so much memory that the system ended it; the signal's reason if aborted
 */
export function runPart<Part extends keyof PartResults>(
  part: Part,
  settings: BenchSettings,
  signal?: AbortSignal,
): Promise<PartResults[Part]> {
  return new Promise((resolve, reject) => {
    const program = fileURLToPath(new URL('./part-process.js', import.meta.url))
    // Whatever it prints is no result.
    const child = fork(program, { stdio: ['ignore', 2, 2, 'ipc'], ...(signal && { signal }) })
    child.once('message', (answer: PartAnswer) => {
      if ('error' in answer) reject(new InputError(`${part}: ${answer.error}`))
      else resolve(answer.result as PartResults[Part])
    })
    child.on('error', error => reject(signal?.aborted ? signal.reason : error))
    child.once('exit', (code, signal) => {
      reject(
        new InputError(
          `${part}: its process ended by ${signal ?? `exit code ${code}`} without a result: ` +
            'if memory was short, use a smaller --batch',
        ),
      )
    })
    child.send({ part, settings } satisfies PartRequest)
  })
}
