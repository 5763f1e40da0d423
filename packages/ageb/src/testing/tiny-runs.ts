import { spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  FolderStore,
  type Monitor,
  RunFolder,
  resolveConfiguration,
  type Store,
  startRun,
} from '@ageb/workbench'
import { writeDataset, writeTinyModel } from '@ageb/workbench/testing'

/** Paths within the folder in which everything is. */
export type Place = (...names: string[]) => string

/** Begins a backdoor run on the tiny data and the tiny model of `makeRuns`. */
export async function newRun(
  here: Place,
  folder: string,
  options: { store: Store; monitor?: Monitor; signal?: AbortSignal },
) {
  const configuration = await resolveConfiguration(
    {
      kind: 'backdoor',
      dataset: here('data'),
      surrogate: here('model'),
      victim: here('model'),
      threads: 1,
      poisoning: { rate: 0.25 },
      training: { epochs: 2, batchSize: 8, crop: 1 },
    },
    'here',
  )
  return startRun(await RunFolder.create(folder, configuration), configuration, options)
}

/** Makes a finished run in `finished/run`, with a store and a cache of its own beside it. */
export async function makeFinishedRun(here: Place): Promise<void> {
  await writeDataset(here('data'), { side: 12, train: 32, test: 6 })
  await writeTinyModel(here('model'), { side: 12 })
  process.env.AGEB_CACHE = here('finished', 'cache')
  await newRun(here, here('finished', 'run'), { store: new FolderStore(here('finished', 'store')) })
}

/**
 * Makes a finished run in `finished/run` and one that was killed within the training of the victim in `interrupted/run`,
 * each with a store and a cache of its own beside it.
 */
export async function makeRuns(here: Place): Promise<void> {
  await makeFinishedRun(here)
  process.env.AGEB_CACHE = here('interrupted', 'cache')
  const interruption = new AbortController()
  const leases: string[] = []
  const monitor: Monitor = {
    say() {},
    progress: label => ({
      update(done) {
        if (label !== 'victim' || done < 4 || interruption.signal.aborted) return
        for (const name of filesUnder(here('interrupted')))
          if (name.endsWith('.lease')) {
            leases.push(name)
            copyFileSync(here('interrupted', name), here(`lease-${leases.length}`))
          }
        interruption.abort(new Error('stopped'))
      },
      stop() {},
    }),
  }
  await newRun(here, here('interrupted', 'run'), {
    store: new FolderStore(here('interrupted', 'store')),
    monitor,
    signal: interruption.signal,
  }).catch(error => {
    if (error !== interruption.signal.reason) throw error
  })
  // As if it had been killed: its leases are still there, and its process is not.
  const { pid } = spawnSync(process.execPath, ['--version'])
  for (const [i, name] of leases.entries()) {
    const holder = JSON.parse(readFileSync(here(`lease-${i + 1}`), 'utf8'))
    writeFileSync(here('interrupted', name), JSON.stringify({ ...holder, pid }))
  }
  if (leases.length < 2) throw new Error(`there were ${leases.length} leases in the middle of the run`)
}

/** All files in a folder and its folders, sorted, with `/`. */
export function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort()
}
