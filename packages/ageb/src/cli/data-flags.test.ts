import { readFileSync } from 'node:fs'
import { classLabel, noisePng, writeColumns, writeDataset, writeTinyModel } from '@ageb/workbench/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, scratch, tinyTraining } from './test-kit.js'

const here = scratch('data-flags')
afterAll(() => here.remove())

beforeAll(async () => {
  for (const [split, count] of Object.entries({ train: 48, validation: 24 })) {
    const labels = Array.from({ length: count }, (_, i) => i % 3)
    const images = await Promise.all(labels.map((label, i) => noisePng(8, label, i)))
    writeColumns(here.file('signs', split, '0000.parquet'), [
      { name: 'width', type: 'number', data: labels.map(() => 8) },
      { name: 'photo', type: 'image', data: images },
      { name: 'mask', type: 'image', data: images },
      { name: 'fine_label', type: 'text', data: labels.map(label => ['stop', 'yield', 'no entry'][label]) },
      { name: 'coarse_label', type: 'number', data: labels.map(label => Number(label > 0)) },
    ])
  }
})

describe('the columns of a data set', () => {
  it('are asked for, chosen by flags or keys, and remembered by the run', async () => {
    const train = (...more: string[]) => [
      ...['train', '--data', 'signs', '--out', 'run', ...more],
      ...tinyTraining(1),
    ]
    const first = await here.ageb(train())
    expect(first).toMatchObject({ code: 1, stdout: '' })
    expect(first.stderr).toContain(
      'has several image columns (`photo`, `mask`): choose one with --image-column',
    )
    const second = await here.ageb(train('--image-column', 'photo'))
    expect(second.stderr).toContain(
      'has several label columns (`fine_label`, `coarse_label`): choose one with --label-column',
    )
    const both = await here.ageb(train('--image-column', 'photo', '--label-column', 'fine_label'))
    expect(both.code).toBe(0)
    expect(both.stderr).toContain("signs: the split 'validation' is taken for 'test'.")
    expect(both.stderr).toContain(
      'the texts of the column `fine_label` are its classes (no entry, stop, yield).',
    )
    expect(readFileSync(here.file('run', 'config.yaml'), 'utf8')).toContain(
      'columns:\n  image: photo\n  label: fine_label\n',
    )
    expect(readFileSync(here.file('run', 'model', 'config.json'), 'utf8')).toContain('"no entry"')

    const measured = await here.ageb([
      ...[
        'eval',
        'run/model',
        '--data',
        'signs',
        '--json',
        '--image-column',
        'mask',
        '--label-column',
        'fine_label',
      ],
    ])
    expect(json(measured)).toMatchObject({ split: 'validation', n: 24 })
    const coarse = await here.ageb([
      'eval',
      'run/model',
      '--data',
      'signs',
      '--image-column',
      'mask',
      '--label-column',
      'coarse_label',
    ])
    expect(coarse).toMatchObject({ code: 0 })
    expect(coarse.stderr).toContain('The classes of signs are only numbered')
    const planned = await here.ageb([
      'plan',
      '--data',
      'signs',
      '--image-column',
      'photo',
      '--label-column',
      'fine_label',
      '--json',
    ])
    expect(json(planned)).toMatchObject({ images: { train: 48, test: 24, classes: 3 } })
  })
})

describe('the classes of a data set', () => {
  it('are matched to those of a model by name', async () => {
    await writeTinyModel(here.file('model'), { classes: ['a', 'b', 'c'] })
    await writeDataset(here.file('same'), { classes: ['a', 'b', 'c'], test: 30 })
    const images = await Promise.all(Array.from({ length: 30 }, (_, i) => noisePng(8, i % 3, 1000 + i)))
    writeColumns(
      here.file('turned', 'test.parquet'),
      [
        { name: 'image', type: 'image', data: images },
        { name: 'label', type: 'number', data: images.map((_, i) => 2 - (i % 3)) },
      ],
      { image: { _type: 'Image' }, label: classLabel('c', 'b', 'a') },
    )
    const measure = async (data: string) => {
      const ended = await here.ageb(['eval', 'model', '--data', data, '--threads', '1', '--json'])
      expect(ended.code).toBe(0)
      const { cda, perClass } = json(ended) as { cda: unknown; perClass: unknown }
      return { cda, perClass, stderr: ended.stderr }
    }
    const [same, turned] = [await measure('same'), await measure('turned')]
    expect(turned).toMatchObject({ cda: same.cda, perClass: same.perClass })
    expect(turned.stderr).toContain(
      'turned has its classes in another order than the model: they are matched by name.',
    )
    expect(same.stderr).not.toContain('matched')
  })
})
