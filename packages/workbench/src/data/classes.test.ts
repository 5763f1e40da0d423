import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { imagesInMemory } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { afterAll, describe, expect, it } from 'vitest'
import { silent } from '../runs/monitor.js'
import { areNumbered, inOrderOf, withClasses } from './class-names.js'
import { openSplit, openSplits } from './dataset.js'
import {
  classLabel,
  image,
  listener,
  plainPng,
  type TestColumn,
  writeColumns,
  writeSplit,
} from './test-data.js'

const folder = mkdtempSync(join(tmpdir(), 'ageb-classes-'))
process.env.AGEB_CACHE = join(folder, 'cache')
afterAll(() => rmSync(folder, { recursive: true }))

const png = await plainPng(7)
const rgb = ['red', 'green', 'blue']
type Side = { readonly labels: readonly (number | string)[]; readonly names?: readonly string[] }
let count = 0

/** A data set of two splits; labels are numbers, of classes with names or without, or texts. */
function write(train: Side, test: Side): string {
  const dataset = join(folder, `set${count++}`)
  for (const [split, { labels, names }] of Object.entries({ train, test })) {
    const type: TestColumn['type'] = typeof labels[0] === 'string' ? 'text' : 'number'
    writeColumns(
      join(dataset, `${split}.parquet`),
      [
        { name: 'image', type: 'image', data: labels.map(() => png) },
        { name: 'label', type, data: labels },
      ],
      names && { image, label: classLabel(...names) },
    )
  }
  return dataset
}

async function open(train: Side, test: Side) {
  const monitor = listener()
  const [first, second] = await openSplits({
    dataset: write(train, test),
    splits: ['train', 'test'],
    monitor,
  })
  expect(second.classNames).toEqual(first.classNames)
  const said = monitor.said
    .map(text => text.replace(/^set\d+: /, ''))
    .filter(text => !text.startsWith('Labels are'))
  return { names: first.classNames, train: [...first.labels], test: [...second.labels], said }
}

async function refusal(train: Side, test: Side): Promise<string> {
  const error: unknown = await open(train, test).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(InputError)
  return (error as InputError).message
}

describe('classes of two splits', () => {
  it('are matched by name where their order differs', async () => {
    const opened = await open(
      { labels: [0, 1, 2], names: rgb },
      { labels: [0, 1, 2, 0], names: rgb.toReversed() },
    )
    expect(opened).toMatchObject({ names: rgb, train: [0, 1, 2], test: [2, 1, 0, 2] })
    expect(opened.said).toEqual([
      "the split 'test' has its classes in another order than 'train': they are matched by name.",
    ])
    const same = await open({ labels: [0, 1, 2], names: rgb }, { labels: [2], names: rgb })
    expect(same).toMatchObject({ names: rgb, test: [2], said: [] })
  })

  it('are refused where they differ, naming those that do', async () => {
    expect(
      await refusal({ labels: [0, 1], names: rgb }, { labels: [0, 1], names: ['red', 'blue', 'other'] }),
    ).toContain(
      "the splits 'train' and 'test' have different classes (only 'test' has other; only 'train' has green)",
    )
    expect(
      await refusal({ labels: [0, 1], names: rgb }, { labels: [0, 1], names: ['red', 'green'] }),
    ).toContain("only 'train' has blue")
    const twice = ['red', 'red', 'blue']
    expect(
      await refusal({ labels: [0], names: twice }, { labels: [0], names: twice.toReversed() }),
    ).toContain("has two classes named 'red'")
    expect(await open({ labels: [0], names: twice }, { labels: [1], names: twice })).toMatchObject({
      test: [1],
    })
  })

  it('of texts are those of the training split, of which the test split may lack some', async () => {
    const opened = await open({ labels: ['a', 'b', 'c'] }, { labels: ['c', 'a'] })
    expect(opened).toMatchObject({ names: ['a', 'b', 'c'], test: [2, 0] })
    expect(opened.said.at(-1)).toBe(
      "the split 'test' has no images of b; its classes are matched to those of 'train' by name.",
    )
    expect(await refusal({ labels: ['a', 'b'] }, { labels: ['a', 'd'] })).toContain("only 'test' has d")
    const declared = await open({ labels: [0, 1, 2], names: rgb }, { labels: ['blue', 'red'] })
    expect(declared).toMatchObject({ names: rgb, test: [2, 0] })
  })

  it('that are only numbers are as many as in the split with the most', async () => {
    const lacking = await open({ labels: [0, 1, 2] }, { labels: [0, 1] })
    expect(lacking).toMatchObject({ names: ['0', '1', '2'], test: [0, 1] })
    expect(lacking.said).toEqual(["the split 'test' has no images of the last class, 2."])
    expect((await open({ labels: [0, 1] }, { labels: [3, 2] })).names).toHaveLength(4)
  })

  it('that only one of them names are taken by number', async () => {
    const named = await open({ labels: [0, 1, 2], names: rgb }, { labels: [2, 0] })
    expect(named).toMatchObject({ names: rgb, test: [2, 0] })
    expect(named.said).toEqual([
      "the split 'test' does not name its classes: its labels are taken as those of 'train'.",
    ])
    expect(await open({ labels: [0, 1] }, { labels: [1], names: rgb })).toMatchObject({
      names: rgb,
      train: [0, 1],
    })
    expect(await refusal({ labels: [0, 1], names: rgb }, { labels: [5] })).toContain(
      "the split 'test' has labels up to 5, but 'train' has only 3 classes",
    )
    expect(await refusal({ labels: ['a', 'b'] }, { labels: [1] })).toContain('write both alike')
  })

  it('that are numbers far apart are refused before anything is done', async () => {
    expect(await refusal({ labels: [17, 998, 10985] }, { labels: [17] })).toContain(
      'labels go up to 10985, but only 3 of these 10986 classes have images',
    )
    expect(await refusal({ labels: [0, 50] }, { labels: [0] })).toContain('only 2 of these 51')
    const few = await open({ labels: [1, 2, 3] }, { labels: [1] })
    expect(few.names).toHaveLength(4)
    expect(few.said[0]).toBe('only 3 of the classes 0 to 3 have images.')
  })

  it('may be a thousand', async () => {
    const names = Array.from({ length: 1000 }, (_, i) => `class ${i}`)
    const opened = await open({ labels: [0, 999], names }, { labels: [999], names: names.toReversed() })
    expect(opened).toMatchObject({ names, test: [0] })
  })
})

describe('shards of one split', () => {
  it('have their classes matched by name, too, or are refused', async () => {
    const dataset = join(folder, 'shards')
    const path = (i: number) => join(dataset, `train-0000${i}-of-00002.parquet`)
    await writeSplit(path(0), [0, 1], { names: ['a', 'b'] })
    await writeSplit(path(1), [0, 1, 1], { names: ['b', 'a'] })
    expect([...(await openSplit({ dataset, split: 'train' })).labels]).toEqual([0, 1, 1, 0, 0])
    await writeSplit(path(1), [0, 1], { names: ['b', 'c'] })
    await expect(openSplit({ dataset, split: 'train' })).rejects.toThrow('names other classes than')
    await writeSplit(path(1), [0, 1])
    await expect(openSplit({ dataset, split: 'train' })).rejects.toThrow('names other classes than')
  })
})

describe('withClasses', () => {
  const source = (classNames: readonly string[], labels: number[]) =>
    imagesInMemory({
      name: 'signs',
      split: 'test',
      height: 1,
      width: 1,
      classNames,
      labels: Int32Array.from(labels),
      pixels: new Uint8Array(3 * labels.length),
    })
  const open = source(rgb, [0, 1, 2, 2])

  it('gives the labels the order of the model, and is another source then', () => {
    const monitor = listener()
    const mapped = withClasses(open, ['blue', 'red', 'green'], monitor)
    expect([...mapped.labels]).toEqual([1, 2, 0, 0])
    expect(mapped.classNames).toEqual(['blue', 'red', 'green'])
    expect(mapped.id).not.toBe(open.id)
    expect(monitor.said).toEqual([
      'signs has its classes in another order than the model: they are matched by name.',
    ])
    expect(withClasses(open, rgb, monitor)).toBe(open)
  })

  it('takes numbered classes of either by number, and says so', () => {
    const monitor = listener()
    for (const names of [
      ['LABEL_0', 'LABEL_1', 'LABEL_2'],
      ['0', '1', '2'],
    ]) {
      expect(areNumbered(names)).toBe(true)
      expect([...withClasses(open, names, monitor).labels]).toEqual([0, 1, 2, 2])
    }
    expect(monitor.said).toEqual([
      "The classes of the model are only numbered: they are taken in the order of signs's (red, green, blue).",
    ])
    // Folders may be named by numbers, of which some lack.
    expect([
      ...withClasses(source(['0', '2'], [0, 1]), ['LABEL_0', 'LABEL_1', 'LABEL_2'], silent, true).labels,
    ]).toEqual([0, 2])
    // Numbers go only as far as the largest that occurs.
    expect(withClasses(source(['0', '1'], [0, 1]), rgb, monitor).classNames).toEqual(rgb)
    expect(monitor.said.at(-1)).toContain('The classes of signs are only numbered')
  })

  it('refuses other classes', () => {
    const refused = (names: readonly string[], of = open) => expect(() => withClasses(of, names, silent))
    refused(['red', 'green', 'pink']).toThrow('signs has other classes (red, green, blue) than the model')
    refused(['red', 'green']).toThrow('signs has 3 classes but the model tells 2 apart')
    refused([...rgb, 'pink']).toThrow('signs has 3 classes but the model tells 4 apart')
    refused(['0', '1']).toThrow(InputError)
    refused(rgb, source(['0', '1', '2', '3'], [3])).toThrow('signs has 4 classes but the model tells 3 apart')
    expect([...withClasses(open, ['pink', ...rgb], silent, true).labels]).toEqual([1, 2, 3, 3])
  })

  it('is applied to splits only where all of the classes are the same', () => {
    const both = [open, source(rgb.toReversed(), [0])] as const
    const [first, second] = inOrderOf(both, ['green', 'red', 'blue'], silent)
    expect([...first.labels, ...second.labels]).toEqual([1, 0, 2, 2, 2])
    expect(inOrderOf(both, ['green', 'red', 'pink'], silent)).toEqual([...both])
  })

  it('lets a split of texts lack classes of the model it is opened for', async () => {
    const dataset = write({ labels: ['b', 'a'] }, { labels: [1, 0], names: ['b', 'a'] })
    const opened = await openSplit({ dataset, split: 'train', classNames: ['c', 'b', 'a'] })
    expect([...opened.labels]).toEqual([1, 2])
    await expect(openSplit({ dataset, split: 'test', classNames: ['c', 'b', 'a'] })).rejects.toThrow(
      'has 2 classes but the model tells 3 apart',
    )
  })
})
