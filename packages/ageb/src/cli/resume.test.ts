import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { RunFolder, readTrainRecord } from '@ageb/workbench'
import { writeDataset } from '@ageb/workbench/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch, tinyTraining } from './test-kit.js'

const here = scratch('resume')
afterAll(() => here.remove())
beforeAll(() => writeDataset(here.file('data')))

const EPOCHS = 40
/** 48 images make 6 batches of 8. */
const STEPS = 6 * EPOCHS

/** Long enough that a signal sent at a tenth of it comes in the middle. */
const train = (out: string, epochs = EPOCHS) => [
  'train',
  '--data',
  'data',
  '--out',
  out,
  ...tinyTraining(epochs),
]
const weights = (run: string) => readFileSync(path.resolve(here.folder, run, 'model', 'model.safetensors'))
const steps = async (run: string) => {
  const { curve } = await readTrainRecord((await RunFolder.open(here.file(run))).run)
  return curve.steps.map(({ step }) => step)
}
/** Another store, so that nothing is there already. */
const fresh = (name: string) => ({ env: { AGEB_STORE: here.file(`store-${name}`) } })
/** Where the store keeps the states of unfinished trainings. */
const states = (name: string) => {
  const folder = here.file(`store-${name}`, 'training')
  return readdirSync(folder)
    .filter(entry => entry.endsWith('.scratch'))
    .flatMap(entry => {
      const files = path.join(folder, entry, 'files')
      return readdirSync(files).map(file => path.join(files, file))
    })
}

describe('a training', () => {
  let result: Record<string, unknown>
  beforeAll(async () => {
    const ended = await here.ageb([...train('whole'), '--json'])
    expect(ended).toMatchObject({ code: 0 })
    result = json(ended)
  })

  it('prints its result as the last line of standard output', () => {
    expect(result).toMatchObject({ run: 'whole', dataset: 'data', checkpoint: path.join('whole', 'model') })
    expect(result.testAccuracy).toMatchObject({ n: 24 })
  })

  it('gives the same weights when the same command runs twice, and others with another seed', async () => {
    expect(await here.ageb(train('again'), fresh('again'))).toMatchObject({ code: 0 })
    expect(weights('again').equals(weights('whole'))).toBe(true)
    expect(await here.ageb(['train', '--seed', '2', ...train('other', 1).slice(1)])).toMatchObject({
      code: 0,
    })
    expect(weights('other').equals(weights('whole'))).toBe(false)
  })

  it('goes on to the same weights after a kill, Ctrl-C, and a kill after that', async () => {
    const { env } = fresh('stopped')
    const killed = await here.ageb(train('stopped'), { signal: 'SIGKILL', at: 'training: 10 %', env })
    expect(killed.code).toBe(null)

    const stopped = await here.ageb(['train', '--resume', 'stopped'], {
      signal: 'SIGINT',
      at: 'training: 40 %',
      env,
    })
    expect(stopped).toMatchObject({ code: 130, stdout: '' })
    expect(stopped.stderr.trimEnd().split('\n').at(-1)).toBe(
      "interrupted: resume with 'ageb run --resume stopped'",
    )
    expect(states('stopped').map(file => path.basename(file))).toEqual(['state.safetensors'])

    const again = await here.ageb(['run', '--resume', 'stopped'], {
      signal: 'SIGKILL',
      at: 'training: 90 %',
      env,
    })
    expect(again.code).toBe(null)
    expect(existsSync(here.file('stopped', 'model'))).toBe(false)

    const resumed = await here.ageb(['run', '--resume', 'stopped', '--json'], { env })
    expect(resumed).toMatchObject({ code: 0 })
    expect(json(resumed).testAccuracy).toEqual(result.testAccuracy)
    expect(weights('stopped').equals(weights('whole'))).toBe(true)
    expect(await steps('stopped')).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1))
    expect(states('stopped')).toEqual([])
  })

  it.each([
    ['its terminal is closed', 'hung-up', { signal: 'SIGHUP', at: 'training: 10 %' }],
    ['no one reads its standard error', 'unheard', { closesAt: 'training: 10 %' }],
  ] as const)('saves its state when %s', async (_, name, options) => {
    const ended = await here.ageb(train(name), { ...options, ...fresh(name) })
    expect(ended).toMatchObject({ code: 130, stdout: '' })
    expect(states(name).map(file => path.basename(file))).toEqual(['state.safetensors'])
  })

  it('is not resumed with other data, and is with the data that it began with', async () => {
    await writeDataset(here.file('other', 'data'))
    const args = ['train', '--data', 'other/data', '--out', 'replaced', ...tinyTraining(EPOCHS)]
    const { env } = fresh('replaced')
    expect(await here.ageb(args, { signal: 'SIGTERM', at: 'training: 10 %', env })).toMatchObject({
      code: 130,
    })
    renameSync(here.file('other', 'data'), here.file('kept'))
    await writeDataset(here.file('other', 'data'), { side: 9 })
    const refused = await here.ageb(['run', '--resume', 'replaced'], { env })
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr.trimEnd().split('\n').at(-1)).toMatch(
      /^ageb: other\/data \(train\): this is not what/,
    )
    rmSync(here.file('other', 'data'), { recursive: true })
    renameSync(here.file('kept'), here.file('other', 'data'))
    expect(await here.ageb(['run', '--resume', 'replaced'], { env })).toMatchObject({ code: 0 })
    expect(weights('replaced').equals(weights('whole'))).toBe(true)
  })

  it('ends at once at a second Ctrl-C, in the middle of a step', async () => {
    // Steps must be long enough for the second signal to come within one.
    const large = ['model.hidden_size=384', 'model.intermediate_size=1536', 'model.num_hidden_layers=4']
    const args = [...train('large', 10), ...large, 'training.batchSize=48']
    const ended = await here.ageb(args, { signal: 'SIGINT', at: 'training: 10 %', twice: true })
    expect(ended).toMatchObject({ code: null, signal: 'SIGINT', stdout: '' })
    expect(ended.stderr).not.toContain('interrupted: resume')
  })

  it('that is finished is not done again', async () => {
    const ended = await here.ageb(['run', '--resume', 'whole', '--json'])
    expect(ended.code).toBe(0)
    expect(ended.stderr).toContain('whole is already finished')
    expect(json(ended)).toMatchObject({ testAccuracy: result.testAccuracy })
  })

  it('keeps its own configuration', async () => {
    const settings = [
      ['--set', 'seed=2'],
      ['--seed', '2'],
      ['--data', 'data'],
      ['--threads', '2'],
    ]
    for (const extra of settings) {
      const ended = await here.ageb(['run', '--resume', 'whole', ...extra])
      expect(ended.code).toBe(2)
      expect(ended.stderr).toMatch(new RegExp(`^ageb: --resume .* leave ${extra[0]} out\n$`))
    }
    expect(await here.ageb(['run', 'some.yaml', '--resume', 'whole'])).toMatchObject({ code: 2 })
  })
})

describe('a full disk', () => {
  const disk = here.file('disk')

  it('ends a training with one sentence and leaves the last checkpoint whole', async context => {
    const why = mount(disk)
    if (why) {
      console.log(`skipped: ${why}`)
      return context.skip()
    }
    try {
      const run = path.join(disk, 'run')
      const env = { AGEB_STORE: path.join(disk, 'store') }
      const stopped = await here.ageb(train(run), { signal: 'SIGTERM', at: 'training: 10 %', env })
      expect(stopped.code).toBe(130)
      const scratched = readdirSync(path.join(env.AGEB_STORE, 'training')).find(name =>
        name.endsWith('.scratch'),
      )!
      const state = path.join(env.AGEB_STORE, 'training', scratched, 'files', 'state.safetensors')
      const before = readFileSync(state)

      writeFileSync(path.join(disk, 'filler'), new Uint8Array(free(disk)))
      const full = await here.ageb(['run', '--resume', run], { env })
      expect(full.code).toBe(1)
      expect(full.stdout).toBe('')
      expect(full.stderr.trimEnd().split('\n').at(-1)).toMatch(/^ageb: .* cannot be written.*free some space/)
      expect(full.stderr).not.toMatch(/^\s+at /m)
      expect(readFileSync(state).equals(before)).toBe(true)

      execFileSync('rm', [path.join(disk, 'filler')])
      expect(await here.ageb(['run', '--resume', run], { env })).toMatchObject({ code: 0 })
      expect(weights(run).equals(weights('whole'))).toBe(true)
    } finally {
      execFileSync('umount', [disk])
    }
  })
})

/** Mounts a file system of one megabyte; returns why not where that is not to be had. */
function mount(folder: string): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'a small file system takes root on Linux'
  mkdirSync(folder)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return `mount is not permitted here (${(error as Error).message.split('\n').at(-1)})`
  }
}

function free(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
