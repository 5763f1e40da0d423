import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { imageAt } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import sharp from 'sharp'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { bundledDatasets } from './bundled/registry.js'
import { loadSplit } from './dataset.js'
import { openImageParquet } from './parquet.js'
import { huggingfaceMetadata, type ImageRow, writeImageParquet } from './write-parquet.js'

const folder = mkdtempSync(join(tmpdir(), 'ageb-dataset-'))
const cache = join(folder, 'cache')
process.env.AGEB_CACHE = cache
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(() => {
  process.env.AGEB_CACHE = cache
})

const header = {
  imageColumn: 'image',
  labelColumn: 'label',
  huggingface: huggingfaceMetadata('image', 'label', ['a', 'b']),
}

async function pngRow(value: number, side = 4): Promise<ImageRow> {
  const background = { r: value, g: value + 1, b: value + 2 }
  const bytes = await sharp({ create: { width: side, height: side, channels: 3, background } })
    .png()
    .toBuffer()
  return { bytes, path: null, label: value % 2 }
}

/** A new data set folder with the given files. */
function write(name: string, files: Record<string, ImageRow[]>): string {
  const dataset = join(folder, name)
  mkdirSync(join(dataset, 'data'), { recursive: true })
  for (const [file, rows] of Object.entries(files))
    writeImageParquet(join(dataset, 'data', file), header, rows)
  return dataset
}

describe('the bundled subset', () => {
  it.each([
    ['train', 5000],
    ['test', 1000],
  ])('has a balanced %s split of %i images', async (split, count) => {
    const calls: [number, number][] = []
    const set = await loadSplit({ dataset: 'cifar10-subset', split, progress: (...call) => calls.push(call) })
    expect(set).toMatchObject({ name: 'cifar10-subset', split, count, height: 32, width: 32 })
    expect(set.pixels).toHaveLength(count * 3072)
    expect(set.classNames).toHaveLength(10)
    expect([set.classNames[0], set.classNames[9]]).toEqual(['airplane', 'truck'])
    for (let label = 0; label < 10; label++)
      expect(set.labels.filter(l => l === label)).toHaveLength(count / 10)
    expect([...set.labels.slice(0, 50)]).not.toEqual([...set.labels.slice(0, 50)].toSorted())
    expect(calls.length).toBeGreaterThan(10)
    expect(calls.at(-1)).toEqual([count, count])

    const again: [number, number][] = []
    const cached = await loadSplit({
      dataset: 'cifar10-subset',
      split,
      progress: (...call) => again.push(call),
    })
    expect(again).toEqual([[count, count]])
    expect(cached.labels).toEqual(set.labels)
    expect(cached.classNames).toEqual(set.classNames)
    expect(Buffer.compare(cached.pixels, set.pixels)).toBe(0)
  })

  it('decodes as sharp does', async () => {
    const set = await loadSplit({ dataset: 'cifar10-subset', split: 'test' })
    const path = join(fileURLToPath(bundledDatasets[0]!.folder), 'plain_text', 'test-00000-of-00001.parquet')
    const { value: batch } = await (await openImageParquet(path)).batches().next()
    for (const row of [0, 17, 999]) {
      const raw = await sharp(batch!.images[row]!).raw().toBuffer()
      expect([...imageAt(set, row)]).toEqual([0, 1, 2].flatMap(c => [...raw].filter((_, i) => i % 3 === c)))
      expect(set.labels[row]).toBe(batch!.labels[row])
    }
  })
})

describe('loadSplit', () => {
  it('puts the shards of a folder together in order', async () => {
    const rows = await Promise.all([10, 21, 30, 41, 50].map(value => pngRow(value)))
    const dataset = write('shards', {
      'train-00001-of-00002.parquet': rows.slice(2),
      'train-00000-of-00002.parquet': rows.slice(0, 2),
    })
    const set = await loadSplit({ dataset, split: 'train' })
    expect(set).toMatchObject({ name: 'shards', count: 5, height: 4, width: 4, classNames: ['a', 'b'] })
    expect([...set.labels]).toEqual([0, 1, 0, 1, 0])
    expect([0, 1, 2, 3, 4].map(i => imageAt(set, i)[16])).toEqual([11, 22, 31, 42, 51])
  })

  it('resizes images that differ, and refuses them if no size is given', async () => {
    const dataset = write('sizes', { 'test.parquet': [await pngRow(7), await pngRow(8, 6)] })
    await expect(loadSplit({ dataset, split: 'test' })).rejects.toThrow('6×6 pixels but the first is 4×4')
    const set = await loadSplit({ dataset, split: 'test', size: 5 })
    expect(set).toMatchObject({ count: 2, height: 5, width: 5 })
    expect(new Set(imageAt(set, 1).subarray(0, 25))).toEqual(new Set([8]))
  })

  it('decodes again when the cache is cut short, altered or of another version', async () => {
    const dataset = write('damage', { 'test.parquet': [await pngRow(70), await pngRow(81)] })
    process.env.AGEB_CACHE = join(folder, 'damaged')
    const load = () => loadSplit({ dataset, split: 'test' })
    const set = await load()
    const file = (ending: string) =>
      join(folder, 'damaged', readdirSync(join(folder, 'damaged')).find(name => name.endsWith(ending))!)
    const harms = [
      () => truncateSync(file('.bin'), 10),
      () => writeFileSync(file('.bin'), readFileSync(file('.bin')).fill(0, 5, 6)),
      () => writeFileSync(file('.json'), '{'),
      () =>
        writeFileSync(
          file('.json'),
          readFileSync(file('.json'), 'utf8').replace('"version":1', '"version":0'),
        ),
      () => rmSync(file('.bin')),
    ]
    for (const harm of harms) {
      harm()
      expect(await load()).toEqual(set)
      expect(readFileSync(file('.bin')).equals(set.pixels)).toBe(true)
    }
    expect(readdirSync(join(folder, 'damaged'))).toHaveLength(2)
  })

  it('goes on without a cache, saying so once', async () => {
    const dataset = write('uncached', {
      'test.parquet': [await pngRow(70)],
      'train.parquet': [await pngRow(71)],
    })
    writeFileSync(join(folder, 'file'), '')
    process.env.AGEB_CACHE = join(folder, 'file', 'cache')
    const warnings: string[] = []
    for (const split of ['test', 'train']) {
      const set = await loadSplit({ dataset, split, warn: message => warnings.push(message) })
      expect(set.count).toBe(1)
    }
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('Going on without a cache')
  })

  it('follows the content of files, not their place', async () => {
    const dataset = write('changing', { 'test.parquet': [await pngRow(70)] })
    expect((await loadSplit({ dataset, split: 'test' })).pixels[0]).toBe(70)
    write('changing', { 'test.parquet': [await pngRow(90)] })
    expect((await loadSplit({ dataset, split: 'test' })).pixels[0]).toBe(90)
  })

  it('says what is wrong in one sentence', async () => {
    const bad = { bytes: Uint8Array.of(1, 2, 3), path: null, label: 0 }
    const dataset = write('bad', { 'train.parquet': [await pngRow(1), bad], 'validation.parquet': [bad] })
    const failing = async (options: Parameters<typeof loadSplit>[0]) => {
      const error: unknown = await loadSplit(options).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(InputError)
      return (error as InputError).message
    }
    expect(await failing({ dataset, split: 'test' })).toContain(
      "no split 'test': choose one of train, validation.",
    )
    expect(await failing({ dataset, split: 'train' })).toContain(
      'train.parquet, row 1: the image cannot be decoded',
    )
    expect(await failing({ dataset, split: 'validation' })).toContain('row 0: the image cannot be decoded')
    expect(await failing({ dataset: join(folder, 'nowhere'), split: 'test' })).toContain('nowhere')
    expect(await failing({ dataset: 'no such', split: 'test' })).toContain("There is no data set 'no such'")
    expect(await failing({ dataset: 'cifar10-subset', split: 'dev' })).toContain('choose one of test, train')
    const file = join(dataset, 'data', 'train.parquet')
    expect(await failing({ dataset: file, split: 'train' })).toContain('is a file: give the folder')
    expect(await failing({ dataset, split: 'train', size: 0 })).toContain(
      'An image size of 0 is not possible',
    )
    const huge = { dataset: 'cifar10-subset', split: 'train', size: 4096 }
    expect(await failing(huge)).toContain('234.4 GiB decoded, and 4 GiB are allowed')
  })

  it('loads all of CIFAR-10', async context => {
    const dataset = process.env.AGEB_CIFAR10
    if (!dataset) {
      const reason = 'skipped: AGEB_CIFAR10 is not set to a folder with CIFAR-10'
      console.info(reason)
      return context.skip(reason)
    }
    const set = await loadSplit({ dataset, split: 'test' })
    expect(set).toMatchObject({ count: 10000, height: 32, width: 32 })
    for (let label = 0; label < 10; label++) expect(set.labels.filter(l => l === label)).toHaveLength(1000)
  })
})
