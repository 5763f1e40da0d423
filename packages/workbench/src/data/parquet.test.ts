import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rng } from '@ageb/lab'
import { parquetWriteFile } from 'hyparquet-writer'
import { InputError } from 'onnxgrad'
import { afterAll, describe, expect, it } from 'vitest'
import { openImageParquet } from './parquet.js'
import { huggingfaceMetadata, type ImageRow, writeImageParquet } from './write-parquet.js'

const folder = mkdtempSync(join(tmpdir(), 'ageb-parquet-'))
afterAll(() => rmSync(folder, { recursive: true }))

const rows: ImageRow[] = Array.from({ length: 1500 }, (_, i) => ({
  // Bytes that are not UTF-8, so that a reader which takes them for text is found out.
  bytes: Uint8Array.of(0xff, 0xfe, i % 256, i >> 8),
  path: i % 2 ? `${i}.png` : null,
  label: i % 3,
}))
const classNames = ['ant', 'bee', 'cow']
const named = {
  imageColumn: 'img',
  labelColumn: 'kind',
  huggingface: huggingfaceMetadata('img', 'kind', classNames),
}
const path = (name: string) => join(folder, `${name}.parquet`)

async function readAll(file: string) {
  const parquet = await openImageParquet(file)
  if (!parquet) return { parquet, read: [] }
  const labels = await parquet.labels()
  const read: ImageRow[] = []
  for await (const { images, names, firstRow } of parquet.images()) {
    expect(firstRow).toBe(read.length)
    for (const [i, bytes] of images.entries()) {
      read.push({ bytes: Uint8Array.from(bytes), path: names[i]!, label: Number(labels[firstRow + i]) })
    }
  }
  return { parquet, read }
}

async function failure(file: string): Promise<string> {
  const error: unknown = await readAll(file).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(InputError)
  const { message } = error as InputError
  expect(message).toContain(file)
  return message
}

describe('openImageParquet', () => {
  it('reads back what was written, by the declared columns', async () => {
    writeImageParquet(path('named'), named, rows)
    const { parquet, read } = await readAll(path('named'))
    expect(parquet).toMatchObject({ rows: 1500, huggingface: named.huggingface })
    expect(parquet?.columns).toMatchObject({ image: 'img', label: 'kind', labelKind: 'number', classNames })
    expect(read).toEqual(rows)
  })

  it('finds the image by its type and the label by its name where nothing is declared', async () => {
    writeImageParquet(
      path('bare'),
      { imageColumn: 'picture', labelColumn: 'y', huggingface: undefined },
      rows,
    )
    const { parquet, read } = await readAll(path('bare'))
    expect(parquet?.columns).toMatchObject({ image: 'picture', label: 'y', classNames: undefined })
    expect(read).toEqual(rows)
  })

  it('does without metadata that is no JSON', async () => {
    writeImageParquet(path('odd'), { ...named, labelColumn: 'label', huggingface: '{' }, rows)
    expect((await openImageParquet(path('odd')))?.columns.label).toBe('label')
  })

  it('says that a file is missing, empty, cut, a pointer or something else', async () => {
    expect(await failure(path('none'))).toContain('cannot be opened (ENOENT)')
    writeFileSync(path('empty'), '')
    expect(await failure(path('empty'))).toContain('is empty')
    writeImageParquet(path('whole'), named, rows)
    const whole = readFileSync(path('whole'))
    writeFileSync(path('cut'), whole.subarray(0, whole.length >> 1))
    expect(await failure(path('cut'))).toContain('is cut short')
    writeFileSync(path('pointer'), 'version https://git-lfs.github.com/spec/v1\n')
    expect(await failure(path('pointer'))).toContain('Git LFS pointer')
    writeFileSync(path('text'), 'hello, this is no Parquet')
    expect(await failure(path('text'))).toContain('is not a Parquet file')
  })

  it('says that a file is damaged when its middle is missing or its footer is nonsense', async () => {
    writeImageParquet(path('whole'), named, rows)
    const whole = readFileSync(path('whole'))
    const half = whole.length >> 1
    writeFileSync(path('gap'), Buffer.concat([whole.subarray(0, 100), whole.subarray(half)]))
    expect(await failure(path('gap'))).toContain('is damaged')
    const zeroed = Buffer.from(whole).fill(0, 4, half)
    writeFileSync(path('zeroed'), zeroed)
    expect(await failure(path('zeroed'))).toContain('is damaged in row group 0')
    writeFileSync(path('footer'), Buffer.from(whole).fill(0xff, whole.length - 60, whole.length - 8))
    expect(await failure(path('footer'))).toMatch(/damaged/)
  })

  it('reads or refuses a file with altered bytes, and never fails otherwise', async () => {
    writeImageParquet(path('whole'), named, rows.slice(0, 40))
    const whole = readFileSync(path('whole'))
    const random = rng(1, 'altered bytes')
    const outcomes = { read: 0, refused: 0 }
    for (let i = 0; i < 500; i++) {
      const altered = Buffer.from(whole)
      for (let n = 0; n < 2; n++) altered[4 + random.int(whole.length - 8)] = random.int(256)
      writeFileSync(path('altered'), altered)
      const error: unknown = await readAll(path('altered')).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      if (error !== undefined) expect(error).toBeInstanceOf(InputError)
      outcomes[error ? 'refused' : 'read']++
    }
    expect(outcomes.read).toBeGreaterThan(10)
    expect(outcomes.refused).toBeGreaterThan(10)
  })

  it('says which column is missing', async () => {
    parquetWriteFile({ filename: path('numbers'), columnData: [{ name: 'a', data: [1n, 2n] }] })
    expect(await failure(path('numbers'))).toContain('has no image column')
    parquetWriteFile({
      filename: path('unlabelled'),
      schema: [
        { name: 'root', num_children: 1 },
        { name: 'image', repetition_type: 'OPTIONAL', num_children: 1 },
        { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      ],
      columnData: [{ name: 'image', data: [{ bytes: Uint8Array.of(1) }] }],
    })
    expect(await failure(path('unlabelled'))).toContain(
      'has no column that is known to be the label among its columns `image`',
    )
  })

  it('refuses labels outside the classes and images without bytes, naming the row', async () => {
    writeImageParquet(path('label'), named, [...rows.slice(0, 7), { ...rows[0]!, label: 3 }])
    expect(await failure(path('label'))).toContain('row 7: label 3 is not a class, expected 0 to 2')
    writeImageParquet(path('negative'), { ...named, labelColumn: 'label', huggingface: undefined }, [
      { ...rows[0]!, label: -1 },
    ])
    expect(await failure(path('negative'))).toContain('row 0: label -1 is not a class')
    parquetWriteFile({
      filename: path('nulls'),
      schema: [
        { name: 'root', num_children: 2 },
        { name: 'img', repetition_type: 'OPTIONAL', num_children: 1 },
        { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
        { name: 'label', type: 'INT64', repetition_type: 'OPTIONAL' },
      ],
      columnData: [
        { name: 'img', data: [{ bytes: Uint8Array.of(1) }, { bytes: null }] },
        { name: 'label', data: [0n, 0n] },
      ],
    })
    expect(await failure(path('nulls'))).toContain('row 1: there are no image bytes')
  })
})

it('levels of the second version of pages are checked before they are read', async () => {
  // A damaged file, whose definition levels claim a run of many million values: read, it would end the process.
  const base64 = [
    'UEFSMRUGFfotFZYLXBU8FQAVPBUAFQQVAAAAAzEZ9ojU/mIARlBORw0KGgoAAAANSUhEUgAAAAQBBFAIAgAAACaTCSkAAAAJcEhZcwAAA+gB',
    'BLABtXtSawAAAA9JREFUCJljYGBkQiDiOAAE9AAxsDYKAwAAAABJRU5ErkJggl7uYQAAEBFhPGRihiMG4jgACdQAYf81umX+YgBGYgAIYmaB',
    'BWIcDrQAkSqwdvv+YgBGYgAIZmGFBWIcE5QAwfgzYCv+YgBGYgAIYWWDBWIcGHQA8WlW7Wz+YgBGYgAIZWOHBWIcHVQBIRtV6W3+YgBGYgAI',
    'Y+eABWIYIjQBUWEWQ0GD/kwCOkwCCOfghAViHCcUAYGrR8Zi/sQAQsQADODg5IIFYhwr9AGxB59Wi/5iAEZiAATk4mkQHDDUAeEx+cBH/mIA',
    'RmIABOLmaRAcNbQCEWVYl5H+YgBGYgAE5uFpEBw6lAJBTcseVf5iAEZiAATh5WkQHD90AnE8ceQh/mIARmIABOXjaRAcRFQCodyJBs7+YgBG',
    'YgAE4xdpEBxJNALRAsrOeP5iAEZiAAQXEGkQHE4UAwFfwzMm/mIAQmIACBAQFGkQHFL0AzEZ9ojU/mIARmIABBQSaRAcV9QDYZ9WPrT+YgBG',
    'YgAEEhZpEBxctAORAAVNkv5iAEZiAAQWEWkQHGGUA8FytPR8/mIARmIABBEVaRAcZnQD8akHxoP+YgBGYgAEFRNpEBxrVAQhSOpN6/5iAEZi',
    'AAQTl2kQHHA0BFEd+d/t/mIARmIABJeQaRAcdRQEgdeoWo3+YgBCYgAIkJCUaRAcefQEsXtwymT+YgBGYgAElJJpEBx+1AThV9m0j/5iAEZi',
    'AASSlmkQHIO0BRFynL+T/mIARmIABJaRaRAYiJQFQdVtoQFh/goINgoICJCRlWkQHI10BXGk11t0AWMASf64Ci64CgiQlZNpEEySVAWh8GvZ',
    'zwAAAABJRU5ErkJgghUEFSgVLEwVBhUAAAAUTAMAAABjYXQDAAAAZG9nAgAAAMO8FQYVGBUcXBU8FQAVPBUQFQQVAAAAPAEKJAIJJEmSJEmS',
    'JAkVBBlMSARyb290FQQANQIYBWltYWdlFQIAFQwlAhgFYnl0ZXMAFQwlAhgFbGFiZWwlAAAWPBkcGSwmCBwVDBkVABkoBWltYWdlBWJ5dGVz',
    'FQIWPBaoLhbECyYIAAAmzAscFQwZJQAQGRgFbGFiZWwVAhY8FoQBFowBJpIMJswLAAAWrC8WPDbQDAAoCWh5cGFycXVldBksHAAAHAAAAJ4A',
    'AABQQVIx',
  ].join('')
  const file = path('levels')
  writeFileSync(file, Buffer.from(base64, 'base64'))
  const opened = await openImageParquet(file)
  const reading = (async () => {
    for await (const _ of opened!.images());
  })()
  await expect(reading).rejects.toThrow('a run of 13286146619 values in a page of 30')
})
