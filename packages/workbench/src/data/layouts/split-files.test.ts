import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { filesOfSplit } from './split-files.js'

const paths = [
  'README.md',
  'data/train-00001-of-00002.parquet',
  'data/train-00000-of-00002.parquet',
  'data/test-00000-of-00001-0123abcd.parquet',
]

describe('filesOfSplit', () => {
  it('orders shards and takes the older names too', () => {
    expect(filesOfSplit(paths, 'train', 'x').files).toEqual([paths[2], paths[1]])
    expect(filesOfSplit(paths, 'test', 'x')).toEqual({ layout: 'parquet', split: 'test', files: [paths[3]] })
  })

  it('takes a split of a single file without a number', () => {
    expect(filesOfSplit(['test.parquet'], 'test', 'x').files).toEqual(['test.parquet'])
  })

  it("reads the layouts of the hub's own conversion", () => {
    const converted = [
      'default/train/0001.parquet',
      'default/train/0000.parquet',
      'default/test/0000.parquet',
    ]
    expect(filesOfSplit(converted, 'train', 'x')).toEqual({
      layout: 'parquet',
      split: 'train',
      files: [converted[1], converted[0]],
    })
    expect(filesOfSplit(['train/0000.parquet', 'test/0000.parquet'], 'test', 'x').files).toEqual([
      'test/0000.parquet',
    ])
    const parts = ['train/part-10.parquet', 'train/part-2.parquet', 'train/part-1.parquet']
    expect(filesOfSplit(parts, 'train', 'x').files).toEqual(parts.toReversed())
    const named = ['train/train-00000-of-00001.parquet', 'test/test-00000-of-00001.parquet']
    expect(filesOfSplit(named, 'train', 'x').files).toEqual([named[0]])
    expect(() => filesOfSplit(['default/partial-train/0000.parquet'], 'train', 'x')).toThrow(
      "no split 'train': choose one of partial-train",
    )
  })

  it.each([
    ['train', ['training', 'test'], 'training'],
    ['test', ['train', 'val', 'validation'], 'validation'],
    ['test', ['train', 'val', 'valid'], 'valid'],
    ['test', ['train', 'val', 'test'], 'test'],
    ['test', ['Train', 'Test'], 'Test'],
    ['validation', ['train', 'val', 'test'], 'val'],
    ['val', ['train', 'validation', 'val'], 'val'],
  ])('finds %s among %j', (wanted, names, found) => {
    for (const ending of ['.parquet', '-00000-of-00001.parquet', '/0000.parquet', '/cats/1.jpg'])
      expect(
        filesOfSplit(
          names.map(name => name + ending),
          wanted,
          'x',
        ).split,
      ).toBe(found)
  })

  it('finds folders of images, in the folder or one below', () => {
    const images = [
      'train/dog/b.PNG',
      'train/cat/z/2.jpeg',
      'train/cat/1.jpg',
      'train/notes.txt',
      'test/cat/9.webp',
    ]
    const files = [
      { path: 'train/cat/1.jpg', className: 'cat' },
      { path: 'train/cat/z/2.jpeg', className: 'cat' },
      { path: 'train/dog/b.PNG', className: 'dog' },
    ]
    expect(filesOfSplit(images, 'train', 'x')).toEqual({ layout: 'images', split: 'train', files })
    const below = images.map(path => `pets/${path}`)
    expect(filesOfSplit(below, 'train', 'x').files).toEqual(
      files.map(file => ({ ...file, path: `pets/${file.path}` })),
    )
    // A class may be called like a split.
    const trains = ['train/train/1.jpg', 'train/test/1.jpg', 'test/train/1.jpg']
    expect(filesOfSplit(trains, 'train', 'x').files).toMatchObject([
      { className: 'test' },
      { className: 'train' },
    ])
    expect(filesOfSplit(['extra/cat/1.jpg'], 'extra', 'x').files).toHaveLength(1)
  })

  it('finds the binary files of CIFAR', () => {
    const ten = [
      ...[1, 2, 3, 4, 5].map(i => `c/data_batch_${i}.bin`),
      'c/test_batch.bin',
      'c/batches.meta.txt',
    ]
    expect(filesOfSplit(ten, 'train', 'x')).toEqual({
      layout: 'cifar-10',
      split: 'train',
      folder: 'c',
      files: ten.slice(0, 5),
    })
    const hundred = ['train.bin', 'test.bin', 'fine_label_names.txt']
    expect(filesOfSplit(hundred, 'test', 'x')).toMatchObject({
      layout: 'cifar-100',
      folder: '',
      files: ['test.bin'],
    })
    expect(() => filesOfSplit(ten.slice(1), 'train', 'x')).toThrow('x has no data_batch_1.bin')
    expect(() => filesOfSplit(['c/data_batch_1', 'c/test_batch'], 'train', 'x')).toThrow('Python pickles')
  })

  it.each([
    ['no split', paths, 'validation', "x has no split 'validation': choose one of test, train."],
    ['a missing shard', [paths[1]!], 'train', "x has an incomplete split 'train' (1 files, 2 expected)"],
    ['no files', ['README.md'], 'train', 'x has no Parquet files named like'],
    [
      'a missing number',
      ['train/0000.parquet', 'train/0002.parquet'],
      'train',
      "incomplete split 'train' (2 files, 3",
    ],
    [
      'shards of two',
      ['train-00000-of-00001.parquet', 'train-00000-of-00002.parquet'],
      'train',
      'incomplete',
    ],
    ['two configurations', ['en/train/0.parquet', 'de/train/0.parquet'], 'train', 'several folders (de, en)'],
    ['two layouts', ['train.parquet', 'train/cat/1.jpg'], 'train', 'several layouts (images, parquet)'],
    [
      'classes without a split',
      ['cat/1.jpg', 'dog/1.jpg'],
      'train',
      'no split (cat, …): lay those to train with',
    ],
    [
      'an image of no class',
      ['train/cat/1.jpg', 'train/2.jpg'],
      'train',
      'train/2.jpg is in no folder of a class',
    ],
    ['images of no class', ['train/1.jpg', 'train/2.jpg'], 'train', 'no split (train): lay those'],
    [
      'a format',
      ['train/cat/1.jpg', 'train/dog/1.bmp'],
      'train',
      'train/dog/1.bmp is in a format that is not',
    ],
    [
      'two folders',
      ['a/test.parquet', 'b/test.parquet'],
      'test',
      "the split 'test' in several folders (a, b)",
    ],
  ])('refuses %s', (_, given, split, message) => {
    expect(() => filesOfSplit(given, split, 'x')).toThrow(InputError)
    expect(() => filesOfSplit(given, split, 'x')).toThrow(message)
  })
})
