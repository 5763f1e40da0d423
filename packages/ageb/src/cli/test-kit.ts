import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { tinyShape } from '@ageb/workbench/testing'

/** What the tests of the command line share: the program as a process, tiny data and a tiny model. */

const program = fileURLToPath(new URL('../../bin/ageb.js', import.meta.url))

/** How the program ended. */
export interface Ended {
  /** Null if a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface CallOptions {
  readonly signal?: NodeJS.Signals
  readonly at?: string
  readonly twice?: boolean
  readonly closesAt?: string
  readonly env?: Readonly<Record<string, string>>
  readonly killAfter?: number
}

/** A folder for one test file; `AGEB_CACHE` and `AGEB_STORE` are in it. */
export interface Scratch {
  readonly folder: string
  file(...names: string[]): string
  /**
   * Runs the program in the folder.
   * @param options.signal sent as soon as standard error holds the text `at`
   * @param options.twice send it again when the program has reported the first
   * @param options.closesAt standard error is closed as soon as it holds this text
   * @param options.env further environment variables
   * @param options.killAfter milliseconds after which the program is killed without notice
   */
  ageb(args: readonly string[], options?: CallOptions): Promise<Ended>
  remove(): void
}

/** Makes a folder for one test file. */
export function scratch(name: string): Scratch {
  const folder = mkdtempSync(path.join(tmpdir(), `ageb-${name}-`))
  const { AGEB_DEBUG: _, ...inherited } = process.env
  const env = { ...inherited, AGEB_CACHE: path.join(folder, 'cache'), AGEB_STORE: path.join(folder, 'store') }
  return {
    folder,
    file: (...names) => path.join(folder, ...names),
    ageb: (args, { signal: kill, at = '', twice = false, closesAt, env: more, killAfter } = {}) =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, [program, ...args], {
          cwd: folder,
          env: { ...env, ...more },
        })
        const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter)
        const cues = kill ? [at, ...(twice ? ['again to stop'] : [])] : []
        let [stdout, stderr] = ['', '']
        child.stdout.setEncoding('utf8').on('data', text => {
          stdout += text
        })
        child.stderr.setEncoding('utf8').on('data', text => {
          stderr += text
          if (closesAt !== undefined && stderr.includes(closesAt)) child.stderr.destroy()
          if (cues.length === 0 || !stderr.includes(cues[0]!)) return
          cues.shift()
          child.kill(kill)
        })
        child.on('error', reject)
        child.on('close', (code, signal) => {
          clearTimeout(timer)
          resolve({ code, signal, stdout, stderr })
        })
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** The last line of standard output as JSON. */
export function json(ended: Ended): Record<string, unknown> {
  return JSON.parse(ended.stdout.trimEnd().split('\n').at(-1)!) as Record<string, unknown>
}

/** `--set` and what follows it for a tiny training on one thread. */
export function tinyTraining(epochs: number): string[] {
  const model = Object.entries(tinyShape).map(([key, value]) => `model.${key}=${value}`)
  return [
    '--threads',
    '1',
    '--set',
    ...model,
    `training.epochs=${epochs}`,
    'training.batchSize=8',
    'training.crop=1',
    'training.stochasticDepth=0.1',
  ]
}
