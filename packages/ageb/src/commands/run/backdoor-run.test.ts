import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ended, json, scratch } from '../../cli/test-kit.js'

// Whole experiments on noise with a tiny ViT: what they cost to share, and what they may not look at.
const here = scratch('backdoor-run')
afterAll(() => here.remove())

const settings = ['training.epochs=1', 'training.batchSize=8', 'training.crop=1', 'poisoning.rate=0.25']
const experiment = (out: string, more: readonly string[] = [], env: Record<string, string> = {}) =>
  here.ageb(
    ['run', 'experiment.yaml', '--json', '--threads', '1', '--out', out, '--set', ...settings, ...more],
    { env },
  )
const bytes = (...names: string[]) => readFileSync(here.file(...names))
const reused = (ended: Ended) => json(ended).reused

beforeAll(async () => {
  await writeDataset(here.file('data'), { side: 12 })
  await writeTinyModel(here.file('model'), { side: 12 })
  writeFileSync(
    here.file('experiment.yaml'),
    'kind: backdoor\ndataset: data\nsurrogate: model\nvictim: model\n',
  )
  expect(await experiment('first')).toMatchObject({ code: 0 })
})

describe('a backdoor experiment', () => {
  it('done again from nothing ends in the same bytes', async () => {
    expect(await experiment('second', [], { AGEB_STORE: here.file('another-store') })).toMatchObject({
      code: 0,
    })
    const models = ['clean-model', 'backdoored-model'].map(model => `${model}/model.safetensors`)
    for (const file of ['record.json', 'predictions.parquet', 'metrics.json', ...models])
      expect(bytes('second', file), file).toEqual(bytes('first', file))
  })

  it('done again takes every stage from the store', async () => {
    const ended = await experiment('third')
    expect(reused(ended)).toEqual([
      'preparation',
      'poison',
      'effect',
      'triggers',
      'gallery',
      'clean-twin',
      'victim',
      'predictions',
      'stealth',
    ])
    expect(bytes('third', 'record.json')).toEqual(bytes('first', 'record.json'))
  })

  it('with another threshold reuses the attention gradients and the clean twin', async () => {
    const ended = await experiment('threshold', ['attack.share=0.5'])
    expect(reused(ended)).toEqual(['attention-gradients', 'clean-twin'])
    expect(json(ended).cleanCda).toBe(JSON.parse(bytes('first', 'metrics.json').toString()).cleanCda)
  })

  it('with another attack reuses the clean twin', async () => {
    expect(reused(await experiment('other-attack', ['attack=badnets']))).toEqual(['clean-twin'])
  })

  it('whose first layers are frozen computes them once', async () => {
    const frozen = ['training.frozen=[vit.embeddings]', 'training.crop=0', 'training.flip=false']
    const ended = await experiment('frozen', frozen)
    const stages = json(ended).stages as { stage: string }[]
    expect(stages.filter(({ stage }) => stage === 'frozen-blocks')).toHaveLength(2)
    const augmented = await experiment('frozen-and-augmented', frozen.slice(0, 1))
    expect(augmented.stdout).not.toContain('frozen-blocks')
  })

  it('begun by two processes at once is done once', async () => {
    const both = await Promise.all(['left', 'right'].map(out => experiment(out, ['seed=7'])))
    const stages = both.map(ended => json(ended).stages as { key: string; reused: boolean }[])
    const done = stages.flat().filter(stage => !stage.reused)
    expect(new Set(done.map(({ key }) => key)).size).toBe(done.length)
    expect(done.length).toBeGreaterThan(5)
    expect(bytes('left', 'record.json')).toEqual(bytes('right', 'record.json'))
  })

  it('can be evaluated on held-out training images, which are then not trained on', async () => {
    const ended = await experiment('held', ['heldOut=16'])
    expect(ended.code).toBe(0)
    expect(json(ended)).toMatchObject({
      nTrain: 32,
      nTest: 16,
      poisonCount: 8,
      evaluatedOn: 'held-out training images',
    })
  })

  it('has a report that needs the run folder alone', async () => {
    const before = bytes('first', 'report.html')
    const nowhere = { AGEB_STORE: here.file('empty'), AGEB_CACHE: here.file('empty'), HF_HUB_OFFLINE: '1' }
    renameSync(here.file('model'), here.file('model-away'))
    renameSync(here.file('data'), here.file('data-away'))
    try {
      cpSync(here.file('first'), here.file('moved'), { recursive: true })
      expect(await here.ageb(['report', 'moved'], { env: nowhere })).toMatchObject({ code: 0 })
    } finally {
      renameSync(here.file('model-away'), here.file('model'))
      renameSync(here.file('data-away'), here.file('data'))
    }
    expect(bytes('moved', 'report.html')).toEqual(before)
  })
})
