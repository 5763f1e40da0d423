import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { imageAt, readAll } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { afterAll, describe, expect, it } from 'vitest'
import { openSplit, type SplitOptions } from './dataset.js'
import { classLabel, image, listener, plainPng, type TestColumn, value, writeColumns } from './test-data.js'

const folder = mkdtempSync(join(tmpdir(), 'ageb-columns-'))
process.env.AGEB_CACHE = join(folder, 'cache')
afterAll(() => rmSync(folder, { recursive: true }))

const images = await Promise.all([10, 20, 30, 40].map(red => plainPng(red)))
const img: TestColumn = { name: 'image', type: 'image', data: images }
const numbers = (name: string, ...data: unknown[]): TestColumn => ({ name, type: 'number', data })
const texts = (name: string, ...data: unknown[]): TestColumn => ({ name, type: 'text', data })
let count = 0

/** Opens a split of these columns: its labels, the names of its classes, and what was said. */
async function open(
  columns: readonly TestColumn[],
  features?: Record<string, unknown>,
  choice?: SplitOptions['columns'],
) {
  const dataset = join(folder, `set${count++}`)
  writeColumns(join(dataset, 'train.parquet'), columns, features)
  const monitor = listener()
  const source = await openSplit({ dataset, split: 'train', columns: choice, monitor })
  const said = monitor.said.map(text => text.replace(/^set\d+: /, ''))
  return { source, said, labels: [...source.labels], names: source.classNames }
}

async function refusal(...of: Parameters<typeof open>): Promise<string> {
  const error: unknown = await open(...of).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(InputError)
  return (error as InputError).message
}

describe('the label column', () => {
  const sizes = [numbers('width', 32, 33, 32, 33), numbers('height', 32, 32, 32, 32)]

  it('may hold texts, beside numbers of which none is taken', async () => {
    const label = texts('label', 'red', 'green', 'blue', 'red')
    const features = { image, width: value('int64'), height: value('int64'), label: value('string') }
    for (const declared of [features, undefined]) {
      const opened = await open([img, ...sizes, label], declared)
      expect(opened.names).toEqual(['blue', 'green', 'red'])
      expect(opened.labels).toEqual([2, 1, 0, 2])
      expect(opened.said).toEqual([
        'Labels are taken from the column `label`.',
        'the texts of the column `label` are its classes (blue, green, red).',
      ])
    }
  })

  it('may hold texts of the classes that the file declares, in its order', async () => {
    const columns = [img, texts('label', 'b', 'c', 'b', 'c')]
    const opened = await open(columns, { image, label: classLabel('c', 'b', 'a') })
    expect(opened).toMatchObject({ names: ['c', 'b', 'a'], labels: [1, 0, 1, 0], said: [] })
    expect(await refusal(columns, { image, label: classLabel('c', 'a') })).toContain(
      "train.parquet, row 0: label 'b' is none of the 2 classes that the file names",
    )
  })

  it('may hold texts that are numbers, which are sorted as numbers', async () => {
    const opened = await open([img, texts('class', '10', '9', '2', '10')])
    expect(opened).toMatchObject({ names: ['2', '9', '10'], labels: [2, 1, 0, 2] })
  })

  it('may hold true and false', async () => {
    const label: TestColumn = { name: 'label', type: 'boolean', data: [true, false, false, true] }
    expect(await open([img, label])).toMatchObject({ names: ['false', 'true'], labels: [1, 0, 0, 1] })
  })

  it('of another name is not guessed: widths, ids and file names are no labels', async () => {
    expect(await refusal([img, ...sizes])).toContain(
      'has no column that is known to be the label among its columns `image`, `width`, `height`: name it with --label-column (columns.label).',
    )
    const label = numbers('image_id', 0, 1, 2, 3)
    expect(await refusal([label, img], { image, image_id: value('int64') })).toContain('`image_id`, `image`')
    expect(await refusal([img, texts('species', 'a', 'b', 'a', 'b')])).toContain('--label-column')
    const chosen = await open([img, texts('species', 'a', 'b', 'a', 'b')], undefined, { label: 'species' })
    expect(chosen.labels).toEqual([0, 1, 0, 1])
  })

  it.each(['labels', 'class', 'target', 'y', 'Category', 'class_id', 'fine_label'])(
    'is known as %s',
    async name => {
      const opened = await open([numbers('image_id', 7, 8, 9, 9), img, numbers(name, 0, 1, 1, 0)])
      expect(opened).toMatchObject({
        labels: [0, 1, 1, 0],
        said: [`Labels are taken from the column \`${name}\`.`],
      })
    },
  )

  it('is asked for where there are several', async () => {
    const coarse = numbers('coarse_label', 0, 0, 1, 1)
    const fine = numbers('fine_label', 0, 1, 2, 3)
    const features = {
      image,
      coarse_label: classLabel('warm', 'cold'),
      fine_label: classLabel('a', 'b', 'c', 'd'),
    }
    for (const declared of [features, undefined])
      expect(await refusal([img, coarse, fine], declared)).toContain(
        'has several label columns (`coarse_label`, `fine_label`): choose one with --label-column (columns.label).',
      )
    const chosen = await open([img, coarse, fine], features, { label: 'fine_label' })
    expect(chosen).toMatchObject({ names: ['a', 'b', 'c', 'd'], labels: [0, 1, 2, 3], said: [] })
    expect(await refusal([img, coarse, fine], features, { label: 'label' })).toContain(
      'has no column `label` among its columns `image`, `coarse_label`, `fine_label`',
    )
    expect(await refusal([img, coarse], features, { label: 'image' })).toContain(
      'holds neither numbers nor texts nor true and false',
    )
  })

  it('that declares classes goes before one that does not, which is said', async () => {
    const columns = [img, texts('label', 'x', 'y', 'x', 'y'), numbers('kind', 1, 0, 1, 0)]
    const opened = await open(columns, { image, label: value('string'), kind: classLabel('a', 'b') })
    expect(opened).toMatchObject({ names: ['a', 'b'], labels: [1, 0, 1, 0] })
    expect(opened.said).toEqual(['Labels are taken from the column `kind`, not from `label`.'])
  })

  it('lacks no label, and is no running text', async () => {
    const row = 'train.parquet, row 2: there is no label'
    expect(await refusal([img, texts('label', 'a', 'b', null, 'a')])).toContain(row)
    expect(await refusal([img, texts('label', 'a', 'b', '', 'a')])).toContain(row)
    expect(await refusal([img, numbers('label', 0, 1, null, 1)])).toContain(row)
    expect(await refusal([img, numbers('label', 0, -1, 1, 1)])).toContain('row 1: label -1 is not a class')
    expect(await refusal([img, numbers('label', 0, 2 ** 20, 1, 1)])).toContain(
      'row 1: label 1048576 is not a class',
    )
    const many = Array.from({ length: 1100 }, (_, i) => `a picture of ${i}`)
    const captions = [{ ...img, data: many.map(() => images[0]) }, texts('label', ...many)]
    expect(await refusal(captions)).toContain('has 1100 different texts in 1100 rows, so it names no classes')
  })
})

describe('the image column', () => {
  const label = numbers('label', 0, 1, 0, 1)
  const mask: TestColumn = { name: 'mask', type: 'image', data: images.toReversed() }
  const red = async (of: Awaited<ReturnType<typeof open>>) => imageAt(await readAll(of.source), 0)[0]

  it('is asked for where there are several', async () => {
    for (const declared of [{ image, mask: image, label: classLabel('a', 'b') }, undefined])
      expect(await refusal([mask, img, label], declared)).toContain(
        'has several image columns (`mask`, `image`): choose one with --image-column (columns.image).',
      )
    expect(await red(await open([mask, img, label], undefined, { image: 'image' }))).toBe(10)
    expect(await red(await open([mask, img, label], undefined, { image: 'mask' }))).toBe(40)
    expect(await refusal([mask, img, label], undefined, { image: 'label' })).toContain(
      'has no column `label` with the bytes of images among its columns `mask`, `image`, `label`',
    )
  })

  it('is the one that the metadata declares', async () => {
    expect(await red(await open([mask, img, label], { image, label: classLabel('a', 'b') }))).toBe(10)
  })

  it('may hold the bytes themselves', async () => {
    const binary: TestColumn = { name: 'img', type: 'binary', data: images }
    expect(await red(await open([binary, label]))).toBe(10)
    const thumbnail: TestColumn = { name: 'thumbnail', type: 'binary', data: images }
    expect(await refusal([thumbnail, label])).toContain('has no image column')
    expect(await red(await open([thumbnail, label], undefined, { image: 'thumbnail' }))).toBe(10)
  })
})
