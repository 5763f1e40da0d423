import { readFileSync, writeFileSync } from 'node:fs'
import { writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch } from '../../cli/test-kit.js'

// Whole experiments on noise with a tiny ViT: what they cost to share, and what they may not look at.
const here = scratch('backdoor-run')
afterAll(() => here.remove())

const settings = ['training.epochs=1', 'training.batchSize=8', 'training.crop=1', 'poisoning.rate=0.25']
const experiment = (out: string, ...more: string[]) =>
  here.ageb([
    'run',
    'experiment.yaml',
    '--json',
    '--threads',
    '1',
    '--out',
    out,
    '--set',
    ...settings,
    ...more,
  ])
const bytes = (...names: string[]) => readFileSync(here.file(...names))

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
  it('run twice ends in the same bytes', async () => {
    expect(await experiment('second')).toMatchObject({ code: 0 })
    for (const file of ['metrics.json', 'poisoned-indices.json']) {
      expect(bytes('second', file), file).toEqual(bytes('first', file))
    }
    for (const model of ['clean-model', 'backdoored-model']) {
      expect(bytes('second', model, 'model.safetensors'), model).toEqual(
        bytes('first', model, 'model.safetensors'),
      )
    }
  })

  it('takes the clean twin of an earlier run of the same recipe, with the same figures', async () => {
    const ended = await experiment('shared', 'cleanTwin=first/clean-model', 'attack.share=0.5')
    expect(ended.code).toBe(0)
    expect(json(ended).cleanCda).toBe(JSON.parse(bytes('first', 'metrics.json').toString()).cleanCda)
    expect(bytes('shared', 'clean-model', 'model.safetensors')).toEqual(
      bytes('first', 'clean-model', 'model.safetensors'),
    )
    expect(readFileSync(here.file('shared', 'events.jsonl'), 'utf8')).not.toContain('"phase":"clean"')
  })

  it('refuses a clean twin that was made otherwise', async () => {
    const ended = await experiment('other', 'cleanTwin=first/clean-model', 'training.learningRate=0.01')
    expect(ended).toMatchObject({ code: 2 })
    expect(ended.stderr).toContain('was not fine-tuned from this victim')
  })

  it('can be evaluated on held-out training images, which are then not trained on', async () => {
    const ended = await experiment('held', 'heldOut=16')
    expect(ended.code).toBe(0)
    expect(json(ended)).toMatchObject({
      nTrain: 32,
      nTest: 16,
      poisonCount: 8,
      evaluatedOn: 'held-out training images',
    })
  })
})
