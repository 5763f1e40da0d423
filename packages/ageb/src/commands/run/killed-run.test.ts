import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { rng } from '@ageb/lab'
import { writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { json, scratch } from '../../cli/test-kit.js'

// A run over all its stages, killed at random moments and resumed each time.
const here = scratch('killed-run')
afterAll(() => here.remove())

const KILLS = 20
const store = here.file('store-of-the-killed')
const env = { AGEB_STORE: store }
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

/** What every finished stage says of itself, by its place in the store. */
function finishedStages(): Map<string, string> {
  const found = new Map<string, string>()
  for (const entry of readdirSync(store, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name)
    if (entry.name === 'entry.json' && !/\.(part|trash)$/.test(entry.parentPath))
      found.set(file, readFileSync(file, 'utf8'))
  }
  return found
}

it(`killed ${KILLS} times ends in the same bytes, and does no finished stage again`, async () => {
  const started = performance.now()
  expect(await here.ageb(begin('whole'))).toMatchObject({ code: 0 })
  const span = performance.now() - started

  const random = rng(1, 'moments')
  let before = new Map<string, string>()
  for (let i = 0; i < KILLS; i++) {
    const args = i === 0 ? begin('killed') : ['run', '--resume', 'killed', '--json']
    const after = i === 0 ? 0.8 * span : random.uniform() * span
    await here.ageb(args, { env, killAfter: after })
    const now = finishedStages()
    for (const [file, text] of before) expect(now.get(file), file).toBe(text)
    before = now
  }
  const ended = await here.ageb(['run', '--resume', 'killed', '--json'], { env })
  expect(ended).toMatchObject({ code: 0 })
  expect(json(ended).asr).toBe(JSON.parse(readFileSync(here.file('whole', 'metrics.json'), 'utf8')).asr)
  const models = ['clean-model', 'backdoored-model'].map(model => `${model}/model.safetensors`)
  for (const file of ['record.json', 'predictions.parquet', 'poison.parquet', 'metrics.json', ...models])
    expect(readFileSync(here.file('killed', file)), file).toEqual(readFileSync(here.file('whole', file)))
  for (const [file, text] of before) expect(finishedStages().get(file), file).toBe(text)
}, 400_000)
