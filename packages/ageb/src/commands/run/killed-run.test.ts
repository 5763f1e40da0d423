import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { rng } from '@ageb/lab'
import { writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { scratch } from '../../cli/test-kit.js'

// Runs over all their stages, killed at random moments and resumed each time.
const here = scratch('killed-run')
afterAll(() => here.remove())

const KILLS = 30
const settings = ['training.epochs=6', 'training.batchSize=8', 'training.crop=1', 'poisoning.rate=0.25']
const begin = (out: string) => [
  'run',
  'experiment.yaml',
  '--threads',
  '1',
  '--out',
  out,
  '--json',
  '--set',
  ...settings,
]

beforeAll(async () => {
  await writeDataset(here.file('data'), { side: 12 })
  await writeTinyModel(here.file('model'), { side: 12 })
  writeFileSync(
    here.file('experiment.yaml'),
    'kind: backdoor\ndataset: data\nsurrogate: model\nvictim: model\n',
  )
})

/** What every finished stage in a store says of itself, by its place. */
function finishedStages(store: string): Map<string, string> {
  const found = new Map<string, string>()
  if (!existsSync(store)) return found
  for (const entry of readdirSync(store, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name)
    if (entry.name === 'entry.json' && !/\.(part|trash)$/.test(entry.parentPath))
      found.set(file, readFileSync(file, 'utf8'))
  }
  return found
}

/** All that is left of a run, except what says when and how fast it was done. */
function contentOf(run: string): Map<string, Buffer> {
  const files = readdirSync(here.file(run), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(here.file(run), path.join(entry.parentPath, entry.name)))
    .filter(name => !['events.jsonl', 'timing.json'].includes(name))
  return new Map(files.sort().map(name => [name, readFileSync(here.file(run, name))]))
}

it(`${KILLS} kills, and every run ends in the same bytes and does no finished stage again`, async () => {
  const started = performance.now()
  expect(await here.ageb(begin('whole'))).toMatchObject({ code: 0 })
  const span = performance.now() - started
  const whole = contentOf('whole')
  const logs = ['training-clean.parquet', 'training-poisoned.parquet']
  expect([...whole.keys()]).toEqual(expect.arrayContaining(['report.html', 'metrics.json', ...logs]))

  const random = rng(1, 'moments')
  let [kills, number, finished] = [0, 1, 0]
  let before = new Map<string, string>()
  while (kills < KILLS || finished === 0) {
    const run = `killed-${number}`
    const store = here.file(`store-${number}`)
    const args = existsSync(here.file(run, 'config.yaml')) ? ['run', '--resume', run, '--json'] : begin(run)
    const ended = await here.ageb(args, {
      env: { AGEB_STORE: store },
      ...(kills < KILLS && { killAfter: (0.2 + 0.8 * random.uniform()) * span }),
    })
    const now = finishedStages(store)
    for (const [file, text] of before) expect(now.get(file), file).toBe(text)
    before = now
    if (ended.code === null) {
      kills++
      continue
    }
    expect(ended).toMatchObject({ code: 0 })
    // Times differ by nature: with those of the other run, the report is that of the other run.
    copyFileSync(here.file('whole', 'timing.json'), here.file(run, 'timing.json'))
    expect(await here.ageb(['report', run])).toMatchObject({ code: 0 })
    const content = contentOf(run)
    expect([...content.keys()]).toEqual([...whole.keys()])
    for (const [name, bytes] of whole) expect(content.get(name)!.equals(bytes), `${run}/${name}`).toBe(true)
    finished++
    number++
    before = new Map()
  }
  console.log(`${kills} kills of ${number} runs, ${finished} of them finished and compared`)
}, 900_000)
