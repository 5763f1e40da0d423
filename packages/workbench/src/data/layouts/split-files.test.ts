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

  it.each([
    ['no split', paths, 'validation', "x has no split 'validation': choose one of test, train."],
    ['a missing shard', [paths[1]!], 'train', "x has an incomplete split 'train' (1 files, 2 expected)"],
    ['no files', ['README.md'], 'train', 'x has no Parquet files named like'],
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
