import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { rng } from '@ageb/lab'
import { attackSettings, evaluate, FolderStore, RunFolder, resumeRun, UsageError } from '@ageb/workbench'
import { InputError } from 'onnxgrad'
import { writePictures } from '../cli/write-report.js'
import { damagesOf } from './damage.js'
import { filesUnder, makeRuns, newRun } from './tiny-runs.js'

/*
 * Damages every file of an interrupted run, of a finished run and of what both left in the store and the cache, one at a
 * time, and lets the program use it: node damaged-runs.js PLACES [ONE_OF [PART]…]. PLACES is the number of truncations and
 * of flipped bits a file; of all cases, each ONE_OF-th is tried; PART is run, store or cache. Prints a DamageReport.
 */

export interface DamageReport {
  readonly files: number
  readonly cases: number
  /** What came of it: the same bytes as undisturbed, or a sentence that names the file. */
  readonly same: number
  readonly named: number
  /** What was neither. */
  readonly faults: readonly string[]
}

const [, , places = '1', oneOf = '1', ...only] = process.argv
const root = mkdtempSync(path.join(tmpdir(), 'ageb-damaged-runs-'))
const here = (...names: string[]) => path.join(root, ...names)
const work = (...names: string[]) => here('work', ...names)
const random = rng(1, 'damage')
/** Owners and leases of which nothing is known are waited for. */
const staleSeconds = 0.2

/** What is made of a run, which must not depend on how it came about. */
const isOutput = (name: string) =>
  /^(record|metrics)\.json$|\.parquet$|^report\.html$|^gallery\/|-model\//.test(name)

/** Of the pictures, which are many and alike, some are enough. */
const isChosen = (name: string) => !name.endsWith('.png') || /0-[01]\.png$|\/0\/[01]\.png$/.test(name)

interface Scene {
  readonly from: string
  /** Where files are damaged. */
  readonly parts: readonly string[]
  /** What is done with the damaged files; each returns what differs, undefined if nothing does. */
  readonly use: readonly ((name: string) => Promise<string | undefined>)[]
}

type Outputs = ReadonlyMap<string, Buffer>

function outputsOf(run: string): Outputs {
  const names = filesUnder(run).filter(isOutput)
  return new Map(names.map(name => [name, readFileSync(path.join(run, name))]))
}

/** The name of a file that differs; undefined if none does. */
function difference(found: Outputs, expected: Outputs): string | undefined {
  return [...new Set([...expected.keys(), ...found.keys()])].find(
    name => !found.get(name)?.equals(expected.get(name) ?? Buffer.alloc(0)),
  )
}

/** Draws the report, with the times of the undisturbed run: those differ by nature. */
async function report(run: string): Promise<void> {
  writeFileSync(path.join(run, 'timing.json'), readFileSync(here('finished', 'run', 'timing.json')))
  await writePictures((await RunFolder.open(run)).run, 'backdoor')
}

const store = () => new FolderStore(work('store'), { staleSeconds })
const resume = () => resumeRun(work('run'), { store: store(), staleSeconds })
const evaluated = async (run: string) =>
  JSON.stringify({
    ...(await evaluate(path.join(run, 'backdoored-model'), { attack: await attackSettings({ run }) })),
    model: '',
  })

try {
  await makeRuns(here)
  await report(here('finished', 'run'))
  const expected = outputsOf(here('finished', 'run'))
  const evaluation = await evaluated(here('finished', 'run'))
  const scenes: Record<string, Scene> = {
    'resuming an interrupted run': {
      from: 'interrupted',
      parts: ['run', 'store', 'cache'],
      use: [
        async () => {
          await resume()
          await report(work('run'))
          return difference(outputsOf(work('run')), expected)
        },
      ],
    },
    'reading a finished run': {
      from: 'finished',
      parts: ['run'],
      use: [
        async () => {
          await writePictures((await RunFolder.open(work('run'))).run, 'backdoor')
          const shown = (run: Outputs) => new Map([...run].filter(([name]) => name === 'report.html'))
          return difference(shown(outputsOf(work('run'))), shown(expected))
        },
        async name => {
          if (!/^config\.yaml$|^backdoored-model\//.test(name)) return undefined
          return (await evaluated(work('run'))) === evaluation ? undefined : 'what the evaluation measures'
        },
        async () => {
          await resume()
          await writePictures((await RunFolder.open(work('run'))).run, 'backdoor')
          return difference(outputsOf(work('run')), expected)
        },
      ],
    },
    'a second run on the same store': {
      from: 'finished',
      parts: ['store', 'cache'],
      use: [
        async () => {
          await newRun(here, work('second'), { store: store() })
          await report(work('second'))
          return difference(outputsOf(work('second')), expected)
        },
      ],
    },
  }
  let [files, cases, same, named, number] = [0, 0, 0, 0, 0]
  const faults: string[] = []
  for (const [scene, { from, parts, use }] of Object.entries(scenes)) {
    for (const part of parts.filter(part => only.length === 0 || only.includes(part))) {
      for (const name of filesUnder(here(from, part)).filter(isChosen)) {
        files++
        for (const { what, apply } of damagesOf(here(from, part, name), Number(places), random)) {
          if (number++ % Number(oneOf) !== 0) continue
          cases++
          for (const [i, attempt] of use.entries()) {
            rmSync(work(), { recursive: true, force: true })
            cpSync(here(from), work(), { recursive: true })
            apply(work(part, name))
            process.env.AGEB_CACHE = work('cache')
            const where = `${scene} (${i}), ${part}/${name} ${what}`
            try {
              const wrong = await attempt(name)
              if (wrong === undefined) same++
              else faults.push(`${where}: ${wrong} differs`)
            } catch (error) {
              if (isNamed(error, name)) named++
              else faults.push(`${where}: ${error instanceof Error ? error.stack : String(error)}`)
            }
          }
        }
      }
    }
  }
  const found: DamageReport = { files, cases, same, named, faults }
  console.log(JSON.stringify(found))
} finally {
  rmSync(root, { recursive: true, force: true })
}

/** Whether an error is one sentence that names the file. */
function isNamed(error: unknown, name: string): boolean {
  if (!(error instanceof InputError || error instanceof UsageError)) return false
  return !error.message.includes('\n') && error.message.includes(path.basename(name))
}
