import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Checkpoint } from '@ageb/lab'
import { loadCheckpoint, saveCheckpoint } from '@ageb/workbench'
import { startTestHub, type TestHub, writeDataset } from '@ageb/workbench/testing'
import { InputError } from 'onnxgrad'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { scratch, tinyTraining } from '../cli/test-kit.js'

const folder = mkdtempSync(path.join(tmpdir(), 'ageb-checkpoints-'))
afterAll(() => rmSync(folder, { recursive: true }))
const fixture = (name: string) =>
  fileURLToPath(new URL(`../../../lab/fixtures/checkpoints/${name}`, import.meta.url))
const failing = async (loading: Promise<Checkpoint>) => {
  const error: unknown = await loading.catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(InputError)
  return (error as InputError).message
}

describe('a folder', () => {
  it('with shards, or of timm, loads as one with a single file does', async () => {
    const vit = await loadCheckpoint(fixture('vit'))
    expect((await loadCheckpoint(fixture('vit-sharded'))).weights).toEqual(vit.weights)
    expect((await loadCheckpoint(fixture('timm-deit'))).model.modelType).toBe('deit')
  })

  it('without a classifier is for fine-tuning alone', async () => {
    expect(await failing(loadCheckpoint(fixture('vit-base')))).toMatch(/has no classifier.*ageb train --from/)
    const { model } = await loadCheckpoint(fixture('vit-base'), { withoutClassifier: true })
    expect(model.classNames).toEqual([])
  })

  it('that is none, is no folder of a checkpoint, or lacks a shard is refused', async () => {
    expect(await failing(loadCheckpoint('constructor'))).toContain("no checkpoint folder 'constructor'")
    expect(await failing(loadCheckpoint(path.join(folder, 'x/y')))).toContain('check the path')
    expect(await failing(loadCheckpoint(folder))).toContain('has no config.json')
    const partly = path.join(folder, 'partly')
    cpSync(fixture('vit-sharded'), partly, { recursive: true })
    rmSync(path.join(partly, 'model-00003-of-00007.safetensors'))
    expect(await failing(loadCheckpoint(partly))).toContain('model-00003-of-00007.safetensors is missing')
  })

  it('is written in half the space as float16', async () => {
    const vit = await loadCheckpoint(fixture('vit'))
    const [whole, half] = ['whole', 'half'].map(name => path.join(folder, name)) as [string, string]
    await saveCheckpoint(whole, vit)
    await saveCheckpoint(half, vit, { dtype: 'float16' })
    const bytes = (of: string) => readFileSync(path.join(of, 'model.safetensors')).length
    expect(bytes(whole) - bytes(half)).toBeGreaterThan(1643 * 2 - 100)
    const [stored, exact] = [await loadCheckpoint(half), vit].map(
      ({ weights }) => weights['classifier.bias']!,
    )
    stored!.forEach((value, i) => {
      expect(Math.abs(value - exact![i]!)).toBeLessThan(2e-3)
    })
  })
})

describe('a model on the hub', () => {
  const name = 'somebody/vit'
  let hub: TestHub
  const files = new Map<string, Buffer>()
  beforeAll(async () => {
    for (const file of readdirSync(fixture('vit-sharded')))
      files.set(file, readFileSync(path.join(fixture('vit-sharded'), file)))
    files.set('pytorch_model.bin', Buffer.from('weights of another format'))
    hub = await startTestHub({ [`models/${name}`]: files })
  })
  afterAll(() => hub.close())
  beforeEach(() => {
    hub.requests.length = 0
    process.env.HF_HUB_CACHE = path.join(folder, 'hub')
    process.env.HF_ENDPOINT = hub.url
    delete process.env.HF_TOKEN
    delete process.env.HF_HUB_OFFLINE
  })
  const resolved = () => hub.requests.filter(path => path.includes('/resolve/'))

  it('is fetched once, then serves offline and when the hub is away', async () => {
    process.env.HF_HUB_OFFLINE = '1'
    expect(await failing(loadCheckpoint(name))).toContain('HF_HUB_OFFLINE forbids fetching it')
    expect(hub.requests).toEqual([])

    delete process.env.HF_HUB_OFFLINE
    const { weights } = await loadCheckpoint(name)
    expect(weights).toEqual((await loadCheckpoint(fixture('vit'))).weights)
    expect(resolved().some(path => /pytorch_model|goldens/.test(path))).toBe(false)

    hub.requests.length = 0
    await loadCheckpoint(name)
    expect(resolved()).toEqual([])

    process.env.HF_HUB_OFFLINE = '1'
    hub.requests.length = 0
    expect((await loadCheckpoint(`${name}@main`)).weights).toEqual(weights)
    expect(hub.requests).toEqual([])

    delete process.env.HF_HUB_OFFLINE
    process.env.HF_ENDPOINT = 'http://127.0.0.1:1'
    const warnings: string[] = []
    const warn = (message: string) => warnings.push(message)
    expect((await loadCheckpoint(name, { warn })).weights).toEqual(weights)
    expect(warnings[0]).toContain('cannot be reached')
  })

  it('that does not exist, or has no weights to read, is said so in one sentence', async () => {
    expect(await failing(loadCheckpoint('nobody/nothing'))).toMatch(/answers 404, so the model or revision/)
    expect(await failing(loadCheckpoint(`${name}@other`))).toContain('answers 404')
    process.env.HF_HUB_CACHE = path.join(folder, 'another')
    files.delete('model-00003-of-00007.safetensors')
    expect(await failing(loadCheckpoint(name))).toContain('nor all shards of one')
    files.delete('config.json')
    expect(await failing(loadCheckpoint(name))).toContain('has no config.json')
  })
})

describe('ageb train --from', () => {
  const place = scratch('from')
  afterAll(() => place.remove())
  const lines = (text: string) => text.trim().split('\n')

  it('takes a checkpoint of other classes and another image size, without a classifier, and fits it', async () => {
    await writeDataset(place.file('data'), { classes: ['a', 'b'], side: 12 })
    const settings = tinyTraining(1).filter(word => !word.startsWith('model.'))
    const ended = await place.ageb([
      ...['train', '--from', fixture('vit-base'), '--data', place.file('data'), '--out', place.file('run')],
      ...settings,
      'imageSize=12',
    ])
    expect(ended.stderr).toContain('has no head: it gets a new head for the 2 classes of the data')
    expect(ended.stderr).toContain('is fitted from image size 16 to 12')
    expect(ended.code).toBe(0)
    const { model } = await loadCheckpoint(place.file('run', 'model'))
    expect(model.classNames).toEqual(['a', 'b'])
    expect(model.imageSize).toBe(12)
  })

  it('refuses an image size without a checkpoint in one sentence', async () => {
    writeFileSync(place.file('train.yaml'), 'kind: train\nimageSize: 16\n')
    const ended = await place.ageb([
      'train',
      '--config',
      place.file('train.yaml'),
      '--data',
      place.file('data'),
    ])
    expect(ended.code).toBe(2)
    expect(lines(ended.stderr).at(-1)).toContain("'imageSize' is for 'from'")
  })
})
