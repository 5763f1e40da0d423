import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InputError } from 'onnxgrad'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { UsageError } from '../configuration/resolve.js'
import { newHolder } from '../store/process-identity.js'
import { listener } from '../store/test-stages.js'
import { assertSameInputs } from './inputs.js'
import { RunFolder } from './run-folder.js'
import { readTiming, writeTiming } from './timing.js'

let here: string
beforeEach(() => {
  here = mkdtempSync(join(tmpdir(), 'ageb-run-folder-'))
})
afterEach(() => rmSync(here, { recursive: true, force: true }))

const config = { kind: 'train', seed: 1, device: 'cpu', note: 'ü' }

/** A run that no process owns. */
async function made(): Promise<string> {
  const run = await RunFolder.create(join(here, 'run'), config)
  await run.release()
  return run.path
}

describe('a run folder', () => {
  it('is new for each of three runs that begin in one moment', async () => {
    const create = () => RunFolder.create(join(here, 'demo'), config, { orNumbered: true })
    const runs = await Promise.all([create(), create(), create()])
    expect(runs.map(run => run.path).sort()).toEqual(
      ['demo', 'demo-2', 'demo-3'].map(name => join(here, name)),
    )
    for (const run of runs) await run.release()
    await expect(RunFolder.create(join(here, 'demo'), config)).rejects.toThrow(UsageError)
  })

  it('is opened with the configuration that it was made with', async () => {
    expect((await RunFolder.open(await made())).config).toEqual(config)
  })

  it.each([
    [
      'edited',
      (file: string) => writeFileSync(file, readFileSync(file, 'utf8').replace('seed: 1', 'seed: 2')),
    ],
    ['with a key more', (file: string) => appendFileSync(file, 'epochs: 2\n')],
    ['cut short', (file: string) => truncateSync(file, 20)],
    ['emptied', (file: string) => truncateSync(file, 0)],
    ['written anew', (file: string) => writeFileSync(file, 'kind: train\nseed: 1\n')],
  ])('whose configuration was %s is refused by name', async (_, change) => {
    const run = await made()
    change(join(run, 'config.yaml'))
    await expect(RunFolder.resume(run)).rejects.toThrow(InputError)
    await expect(RunFolder.open(run)).rejects.toThrow(/config\.yaml is damaged.*begin a new run/)
  })

  it('goes on behind half a line of its event log, and says so', async () => {
    const folder = await made()
    writeFileSync(join(folder, 'events.jsonl'), '{"type":"begun"}\n{"type":"sta')
    const monitor = listener()
    const { run } = await RunFolder.resume(folder, { monitor })
    await run.log({ type: 'begun' }, { type: 'stage' })
    await run.release()
    expect(monitor.lines).toEqual([expect.stringMatching(/events\.jsonl is damaged in line 2/)])
    expect(readFileSync(join(folder, 'events.jsonl'), 'utf8')).toBe(
      '{"type":"begun"}\n{"type":"sta\n{"type":"begun"}\n{"type":"stage"}\n',
    )
  })
})

describe('the owner of a run', () => {
  it('that lives keeps others away', async () => {
    const run = await RunFolder.create(join(here, 'run'), config, { staleSeconds: 1 })
    // In this process a lease may be left over, so it is watched until it is touched.
    await expect(RunFolder.resume(run.path, { staleSeconds: 60 })).rejects.toThrow(
      `is being worked on by process ${process.pid}`,
    )
    await run.release()
    await (await RunFolder.resume(run.path)).run.release()
  })

  it('that died is succeeded at once', async () => {
    const run = await made()
    const { pid } = spawnSync(process.execPath, ['--version'])
    writeFileSync(join(run, 'owner.lease'), JSON.stringify({ ...newHolder(), pid }))
    const monitor = listener()
    await (await RunFolder.resume(run, { monitor })).run.release()
    expect(monitor.lines).toEqual([])
  })

  it.each(['', '{"token":'])('that %j does not name is waited for, which is said', async text => {
    const run = await made()
    writeFileSync(join(run, 'owner.lease'), text)
    const monitor = listener()
    await (await RunFolder.resume(run, { monitor, staleSeconds: 0.2 })).run.release()
    expect(monitor.lines).toEqual([expect.stringMatching(/owner\.lease .* waiting/)])
  })
})

describe('what a run works on', () => {
  it('is noted, and what is replaced is named', async () => {
    const { run } = await RunFolder.open(await made())
    const inputs = { 'pets (train)': 'a', 'vit (victim)': 'b' }
    await assertSameInputs(run, inputs)
    await assertSameInputs(run, inputs)
    const replaced = assertSameInputs(run, { ...inputs, 'pets (train)': 'c' })
    await expect(replaced).rejects.toThrow(/^pets \(train\): this is not what .* began with/)
  })
})

describe('the times of a run', () => {
  const timing = {
    startedAt: '2025-01-31T14:25:01.000Z',
    finishedAt: '2025-01-31T14:26:01.000Z',
    seconds: 60,
    stages: [{ stage: 'victim', key: 'k', reused: false, seconds: 12, machine: 'm' }],
    reused: [],
    speed: { gemmGflops: 80, dataWaitShare: 0, peakRssMiB: 100 },
  }

  it('are read as they were written; if they are damaged, the file is named', async () => {
    const { run } = await RunFolder.open(await made())
    expect(await readTiming(run)).toBe(null)
    await writeTiming(run, timing)
    expect(await readTiming(run)).toEqual(timing)
    const file = run.file('timing.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace('"seconds": 12', '"seconds": 92'))
    await expect(readTiming(run)).rejects.toThrow(/timing\.json is damaged .*: delete it/)
    await run.writeSealed('timing.json', { ...timing, stages: [null] })
    await expect(readTiming(run)).rejects.toThrow(/timing\.json .*'stages\.0'.*: delete it/)
  })
})
