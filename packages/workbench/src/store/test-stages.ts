import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { writeFileWhole } from '../files/write-file.js'
import type { Monitor } from '../runs/monitor.js'
import type { StageResult } from './run-stage.js'
import type { Stage } from './stage.js'

/** What the tests of the store share: a tiny stage, and processes that run it. */

export interface SumInput {
  /** Adds 1 to this number, whose steps are the work. */
  readonly to: number
  /** Gets a line for every step. */
  readonly log: string
  readonly pause?: number
}

/** The sum of the numbers from 1, slowly; goes on from the step that an interrupted sum had come to. */
export const sum: Stage<SumInput, number> = {
  name: 'sum',
  version: 1,
  key: ({ to }) => ({ to }),
  async run({ to, log, pause = 0 }, { folder, scratch, signal }) {
    const state = join(scratch, 'state.json')
    let { step, total } = JSON.parse(await readFile(state, 'utf8').catch(() => '{"step":0,"total":0}')) as {
      step: number
      total: number
    }
    while (step < to) {
      await sleep(pause)
      signal.throwIfAborted()
      step++
      total += step
      await writeFileWhole(state, JSON.stringify({ step, total }))
      appendFileSync(log, `${process.pid} ${step}\n`)
    }
    await mkdir(join(folder, 'parts'))
    await writeFile(join(folder, 'sum.txt'), String(total))
    await writeFile(join(folder, 'parts', 'last.txt'), String(to))
  },
  open: async folder => Number(await readFile(join(folder, 'sum.txt'), 'utf8')),
}

/** A monitor that remembers what it was told. */
export function listener(): Monitor & { readonly lines: string[] } {
  const lines: string[] = []
  return { lines, say: text => lines.push(text), progress: () => ({ update() {}, stop() {} }) }
}

/** What a child process prints when it is done. */
export type ChildResult = StageResult<number> & { readonly lines: string[]; readonly pid: number }

/** A folder for one test, with a store and a log in it. */
export interface Place {
  readonly folder: string
  readonly root: string
  readonly log: string
  /** The steps that were done, in order, each with the process that did it. */
  steps(): { pid: number; step: number }[]
  /** Starts a process that runs `sum` on the store. */
  start(input: Omit<SumInput, 'log'>, options?: { uid?: number; staleSeconds?: number }): Child
  remove(): void
}

export interface Child {
  readonly process: ChildProcessWithoutNullStreams
  readonly pid: number
  /** What it printed; rejects if it failed. */
  readonly result: Promise<ChildResult>
  /** Resolves when it has ended, however that was. */
  readonly ended: Promise<void>
}

export function place(name: string): Place {
  const folder = mkdtempSync(join(tmpdir(), `ageb-${name}-`))
  const log = join(folder, 'log')
  const root = join(folder, 'store')
  appendFileSync(log, '')
  const children: ChildProcessWithoutNullStreams[] = []
  return {
    folder,
    root,
    log,
    steps: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter(line => line !== '')
        .map(line => {
          const [pid = 0, step = 0] = line.split(' ').map(Number)
          return { pid, step }
        }),
    start(input, { uid, staleSeconds = 30 } = {}) {
      const program = fileURLToPath(new URL('./test-child.js', import.meta.url))
      const words = [root, String(staleSeconds), JSON.stringify({ ...input, log })]
      const child = spawn(process.execPath, [program, ...words], uid === undefined ? {} : { uid, gid: uid })
      children.push(child)
      let [stdout, stderr] = ['', '']
      child.stdout.on('data', text => {
        stdout += text
      })
      child.stderr.on('data', text => {
        stderr += text
      })
      const ended = new Promise<void>(resolve => child.on('close', () => resolve()))
      const result = ended.then(() => {
        if (child.exitCode !== 0) throw new Error(`the child ended with ${child.exitCode}: ${stderr}`)
        return JSON.parse(stdout) as ChildResult
      })
      // Tests that kill a child do not wait for its result.
      result.catch(() => {})
      return { process: child, pid: child.pid!, result, ended }
    },
    remove() {
      for (const child of children) child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Waits until something is the case. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5)
}
