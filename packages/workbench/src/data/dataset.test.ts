import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { imageAt, readAll } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import sharp from 'sharp'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { bundledDatasets } from './bundled/registry.js'
import { openSplit, openSplits } from './dataset.js'
import { openImageParquet } from './parquet.js'
import { listener, plainPng, writeColumns, writeSplit } from './test-data.js'

const folder = mkdtempSync(join(tmpdir(), 'ageb-dataset-'))
const cache = join(folder, 'cache')
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(() => {
  process.env.AGEB_CACHE = cache
})

const names = ['a', 'b']
const train = 'train-00000-of-00001.parquet'
const file = (...path: string[]) => join(folder, ...path)

async function failing(options: Parameters<typeof openSplit>[0]): Promise<string> {
  const error: unknown = await openSplit(options)
    .then(readAll)
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(InputError)
  return (error as InputError).message
}

describe('the bundled subset', () => {
  it.each([
    ['train', 5000],
    ['test', 1000],
  ])('has a balanced %s split of %i images, the same from the cache', async (split, count) => {
    const monitor = listener()
    const set = await readAll(await openSplit({ dataset: 'cifar10-subset', split, monitor }))
    expect(set).toMatchObject({ name: 'cifar10-subset', split, count, height: 32, width: 32 })
    expect(set.pixels).toHaveLength(count * 3072)
    expect(set.classNames).toHaveLength(10)
    expect([set.classNames[0], set.classNames[9]]).toEqual(['airplane', 'truck'])
    for (let label = 0; label < 10; label++)
      expect(set.labels.filter(l => l === label)).toHaveLength(count / 10)
    expect([...set.labels.slice(0, 50)]).not.toEqual([...set.labels.slice(0, 50)].toSorted())
    expect(monitor).toMatchObject({ said: [], bars: [`reading ${split} files`, `reading ${split} images`] })

    const again = listener()
    const source = await openSplit({ dataset: 'cifar10-subset', split, monitor: again })
    const cached = await readAll(source)
    expect(again.bars).not.toContain(`reading ${split} images`)
    expect(cached.labels).toEqual(set.labels)
    expect(cached.classNames).toEqual(set.classNames)
    expect(Buffer.compare(cached.pixels, set.pixels)).toBe(0)
  })

  it('decodes as sharp does', async () => {
    const source = await openSplit({ dataset: 'cifar10-subset', split: 'test' })
    const path = join(fileURLToPath(bundledDatasets[0]!.folder), 'plain_text', 'test-00000-of-00001.parquet')
    const parquet = (await openImageParquet(path))!
    const labels = await parquet.labels()
    const { value: batch } = await parquet.images().next()
    const out = new Uint8Array(3 * 3072)
    await source.read([999, 0, 17], out)
    for (const [i, row] of [999, 0, 17].entries()) {
      const raw = await sharp(batch!.images[row]!).raw().toBuffer()
      expect([...out.subarray(i * 3072, (i + 1) * 3072)]).toEqual(
        [0, 1, 2].flatMap(c => [...raw].filter((_, j) => j % 3 === c)),
      )
      expect(source.labels[row]).toBe(labels[row])
    }
  })
})

describe('openSplit', () => {
  it('puts the shards of a folder together in order, and passes over one without rows', async () => {
    const dataset = file('shards')
    await writeSplit(join(dataset, 'data', 'train-00000-of-00003.parquet'), [0, 1], { names, first: 10 })
    writeColumns(join(dataset, 'data', 'train-00001-of-00003.parquet'), [
      { name: 'image', type: 'image', data: [] },
      { name: 'label', type: 'number', data: [] },
    ])
    await writeSplit(join(dataset, 'data', 'train-00002-of-00003.parquet'), [0, 1, 0], { names, first: 30 })
    const set = await readAll(await openSplit({ dataset, split: 'train' }))
    expect(set).toMatchObject({ name: 'shards', count: 5, height: 4, width: 4, classNames: ['a', 'b'] })
    expect([...set.labels]).toEqual([0, 1, 0, 1, 0])
    expect([0, 1, 2, 3, 4].map(i => imageAt(set, i)[16])).toEqual([11, 12, 31, 32, 33])
  })

  it('resizes images that differ, and refuses them if no size is given', async () => {
    const dataset = file('sizes')
    const images = [await plainPng(7), await plainPng(8, 6)]
    writeColumns(join(dataset, 'test.parquet'), [
      { name: 'image', type: 'image', data: images },
      { name: 'label', type: 'number', data: [0, 1] },
    ])
    expect(await failing({ dataset, split: 'test' })).toContain(
      'row 1: the image is 6×6 pixels but the first is 4×4',
    )
    const set = await readAll(await openSplit({ dataset, split: 'test', size: 5 }))
    expect(set).toMatchObject({ count: 2, height: 5, width: 5 })
    expect(new Set(imageAt(set, 1).subarray(0, 25))).toEqual(new Set([8]))
  })

  it('is what its files are and what is done with them, wherever they lie', async () => {
    const write = (name: string, first: number, labels = [0, 1], classes = names) =>
      writeSplit(file(name, 'train.parquet'), labels, { names: classes, first })
    await write('one', 70)
    await write('same', 70)
    await write('other-pixels', 90)
    await write('other-labels', 70, [1, 0])
    await write('other-names', 70, [0, 1], ['a', 'c'])
    const id = async (name: string, size?: number) =>
      (await openSplit({ dataset: file(name), split: 'train', size })).id
    const one = await id('one')
    expect(one).toMatch(/^[0-9a-f]{64}$/)
    expect(await id('same')).toBe(one)
    const others = [
      await id('other-pixels'),
      await id('other-labels'),
      await id('other-names'),
      await id('one', 4),
      await id('one', 8),
    ]
    expect(new Set([one, ...others]).size).toBe(6)
  })

  it('follows the content of files, though they change within a moment', async () => {
    const dataset = file('changing')
    const red = async () => (await readAll(await openSplit({ dataset, split: 'test' }))).pixels[0]
    await writeSplit(join(dataset, 'test.parquet'), [0, 1], { names, first: 70 })
    expect(await red()).toBe(70)
    await writeSplit(join(dataset, 'test.parquet'), [0, 1], { names, first: 90 })
    expect(await red()).toBe(90)
  })

  it('says what is wrong in one sentence', async () => {
    const dataset = file('bad')
    const bad = Uint8Array.of(1, 2, 3)
    const write = (name: string, images: Uint8Array[]) =>
      writeColumns(join(dataset, name), [
        { name: 'image', type: 'image', data: images },
        { name: 'label', type: 'number', data: images.map((_, i) => i) },
      ])
    write('train.parquet', [await plainPng(1), bad])
    write('extra.parquet', [bad])
    expect(await failing({ dataset, split: 'test' })).toContain(
      "no split 'test': choose one of extra, train.",
    )
    expect(await failing({ dataset, split: 'train' })).toContain(
      'train.parquet, row 1: the image cannot be decoded',
    )
    expect(await failing({ dataset, split: 'extra' })).toContain('row 0: the image cannot be decoded')
    expect(await failing({ dataset: file('nowhere'), split: 'test' })).toContain('nowhere')
    expect(await failing({ dataset: 'no such', split: 'test' })).toContain("There is no data set 'no such'")
    expect(await failing({ dataset: 'cifar10-subset', split: 'extra' })).toContain(
      'choose one of test, train',
    )
    expect(await failing({ dataset: join(dataset, 'train.parquet'), split: 'train' })).toContain(
      'is a file: give the folder',
    )
    expect(await failing({ dataset, split: 'train', size: 0 })).toContain(
      'An image size of 0 is not possible',
    )
  })

  it('takes a validation split where there is no test split, and says so once', async () => {
    const dataset = file('validation')
    await writeSplit(join(dataset, train), [0, 1], { names })
    await writeSplit(join(dataset, 'validation-00000-of-00001.parquet'), [0, 1], { names, first: 50 })
    const monitor = listener()
    const [, test] = await openSplits({ dataset, splits: ['train', 'test'], monitor })
    await openSplit({ dataset, split: 'test', monitor })
    expect(test.split).toBe('validation')
    expect(monitor.said).toEqual(["validation: the split 'validation' is taken for 'test'."])
  })

  it('stops when it is asked to', async () => {
    const dataset = file('stopped')
    await writeSplit(join(dataset, train), [0, 1], { names })
    const reason = new Error('enough')
    await expect(openSplit({ dataset, split: 'train', signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    )
  })

  it('loads all of CIFAR-10', async context => {
    const dataset = process.env.AGEB_CIFAR10
    if (!dataset) {
      const reason = 'skipped: AGEB_CIFAR10 is not set to a folder with CIFAR-10'
      console.info(reason)
      return context.skip(reason)
    }
    const set = await readAll(await openSplit({ dataset, split: 'test' }))
    expect(set).toMatchObject({ count: 10000, height: 32, width: 32 })
    for (let label = 0; label < 10; label++) expect(set.labels.filter(l => l === label)).toHaveLength(1000)
  })
})
