import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InputError } from 'onnxgrad'
import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseHubId } from '../hub/hub.js'
import { startTestHub, type TestHub } from '../hub/test-hub.js'
import { type Monitor, silent } from '../runs/monitor.js'
import { openSplit } from './dataset.js'
import { listener } from './test-data.js'
import { huggingfaceMetadata, writeImageParquet } from './write-parquet.js'

const folder = mkdtempSync(join(tmpdir(), 'ageb-hub-'))
const repo = 'somebody/tiny'
const files = new Map<string, Buffer>()
let hub: TestHub

beforeAll(async () => {
  const header = {
    imageColumn: 'img',
    labelColumn: 'label',
    huggingface: huggingfaceMetadata('img', 'label', ['a', 'b']),
  }
  for (const [i, name] of ['train-00000-of-00002', 'train-00001-of-00002', 'test-00000-of-00001'].entries()) {
    const background = { r: 10 * i, g: 0, b: 0 }
    const bytes = await sharp({ create: { width: 2 + i, height: 2 + i, channels: 3, background } })
      .png()
      .toBuffer()
    const path = join(folder, `${name}.parquet`)
    writeImageParquet(
      path,
      header,
      Array.from({ length: 3 + i }, () => ({ bytes, path: null, label: i % 2 })),
    )
    files.set(`data/${name}.parquet`, readFileSync(path))
  }
  files.set('README.md', Buffer.from('a data set'))
  hub = await startTestHub({ [`datasets/${repo}`]: files })
})
afterAll(() => {
  hub.close()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  hub.requests.length = 0
  process.env.AGEB_CACHE = join(folder, 'decoded')
  process.env.HF_HUB_CACHE = join(folder, 'hub')
  process.env.HF_ENDPOINT = hub.url
  delete process.env.HF_TOKEN
  delete process.env.HF_HUB_OFFLINE
})

describe('parseHubId', () => {
  it('reads ids with and without a revision, and nothing else', () => {
    expect(parseHubId('a/b-c.d')).toEqual({ name: 'a/b-c.d', revision: 'main' })
    expect(parseHubId('a/b@refs/convert/parquet')).toEqual({ name: 'a/b', revision: 'refs/convert/parquet' })
    for (const text of ['a', 'a/b/c', './a', '../a', 'a/b@', 'a/b@../../c', 'a b/c'])
      expect(parseHubId(text)).toBeUndefined()
  })
})

describe('a data set on the hub', () => {
  it("is fetched once, only the split's files, then serves offline and when the hub is away", async () => {
    const load = (monitor?: Monitor) => openSplit({ dataset: repo, split: 'train', size: 4, monitor })
    process.env.HF_HUB_OFFLINE = '1'
    await expect(load()).rejects.toThrow('HF_HUB_OFFLINE forbids fetching it')
    expect(hub.requests).toEqual([])

    delete process.env.HF_HUB_OFFLINE
    const set = await load()
    expect(set).toMatchObject({ name: repo, split: 'train', count: 7, classNames: ['a', 'b'] })
    expect([...set.labels]).toEqual([0, 0, 0, 1, 1, 1, 1])
    expect(
      hub.requests.filter(path => path.includes('/resolve/')).every(path => path.includes('/train-')),
    ).toBe(true)

    hub.requests.length = 0
    await load()
    expect(hub.requests.filter(path => path.includes('/resolve/'))).toEqual([])

    process.env.HF_HUB_OFFLINE = '1'
    hub.requests.length = 0
    expect((await load()).labels).toEqual(set.labels)
    expect(hub.requests).toEqual([])

    delete process.env.HF_HUB_OFFLINE
    process.env.HF_ENDPOINT = 'http://127.0.0.1:1'
    const warnings: string[] = []
    const monitor = { ...silent, say: (text: string) => void warnings.push(text) }
    expect((await load(monitor)).labels).toEqual(set.labels)
    expect(warnings[0]).toContain('cannot be reached')
  })

  it('that does not exist, or cannot be fetched, is said so in one sentence', async () => {
    const failing = async (dataset: string, split = 'test') => {
      const error: unknown = await openSplit({ dataset, split }).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(InputError)
      return (error as InputError).message
    }
    expect(await failing('nobody/nothing')).toMatch(/no folder nobody\/nothing here, and .* answers 404/)
    expect(await failing(`${repo}@other`)).toContain('answers 404')
    expect(await failing(repo, 'extra')).toContain("no split 'extra': choose one of test, train.")
    process.env.HF_TOKEN = 'secret'
    const message = await failing(repo)
    expect(message).toContain("HF_TOKEN must start with 'hf_'")
    expect(message).not.toContain('secret')
    delete process.env.HF_TOKEN
    process.env.HF_ENDPOINT = 'http://127.0.0.1:1'
    expect(await failing('nobody/nothing')).toContain('check the connection')
  })

  it('is not blamed on the hub where the cache cannot be written', async context => {
    if (process.platform !== 'linux') {
      console.log('skipped: only Linux has /sys, where not even root can make a folder')
      return context.skip()
    }
    process.env.HF_HUB_CACHE = '/sys/ageb-hub'
    const loading = openSplit({ dataset: repo, split: 'train' })
    await expect(loading).rejects.toThrow(/^\/sys\/ageb-hub cannot be written: .*choose/)
  })

  it('may have several configurations, name its splits otherwise, or hold no Parquet', async () => {
    const parquet = files.get('data/test-00000-of-00001.parquet')!
    const others = new Map([
      ['fine/train/0000.parquet', parquet],
      ['fine/validation/0000.parquet', parquet],
      ['coarse/train/0000.parquet', parquet],
      ['pictures/dev/cat/1.jpg', Buffer.from('no image')],
    ])
    const second = await startTestHub({ 'datasets/somebody/several': others })
    process.env.HF_ENDPOINT = second.url
    try {
      const monitor = listener()
      const open = (dataset: string, split: string) => openSplit({ dataset, split, monitor })
      await expect(open('somebody/several', 'train')).rejects.toThrow(
        'several folders (coarse, fine): give the path of one of them, or on the hub owner/name:FOLDER.',
      )
      expect((await open('somebody/several:fine', 'train')).count).toBe(5)
      expect((await open('somebody/several:fine@main', 'test')).split).toBe('validation')
      expect(monitor.said).toEqual(["somebody/several: the split 'validation' is taken for 'test'."])
      await expect(open('somebody/several:pictures', 'dev')).rejects.toThrow(
        'somebody/several@refs/convert/parquet',
      )
      expect(
        second.requests.filter(path => path.includes('/resolve/')).every(path => path.includes('/fine/')),
      ).toBe(true)
    } finally {
      second.close()
    }
  })
})
