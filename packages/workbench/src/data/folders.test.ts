import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { imageAt, readAll, rng } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSplit, openSplits, type SplitOptions, splitSize } from './dataset.js'
import { decodeRgb } from './decode.js'
import { listener, plainPng, writeColumns, writeImages } from './test-data.js'

const folder = mkdtempSync(join(tmpdir(), 'ageb-folders-'))
process.env.AGEB_CACHE = join(folder, 'cache')
afterAll(() => rmSync(folder, { recursive: true }))

async function refusal(options: SplitOptions): Promise<string> {
  const error: unknown = await openSplit(options)
    .then(readAll)
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(InputError)
  return (error as InputError).message
}

describe('folders of images', () => {
  const dataset = join(folder, 'pets')
  beforeAll(() =>
    writeImages(dataset, {
      'train/dog/1.png': 10,
      'train/cat/2.jpg': 20,
      'train/cat/1.webp': 30,
      'train/eel/1.tiff': 40,
      'test/eel/1.png': 50,
      'test/cat/1.gif': 60,
    }),
  )

  it('are classes, sorted by name, and agree between splits', async () => {
    writeFileSync(join(dataset, 'train', 'cat', 'Thumbs.db'), 'no image')
    writeFileSync(join(dataset, 'train', 'cat', '.hidden.jpg'), 'no image')
    const monitor = listener()
    const [train, test] = await openSplits({ dataset, splits: ['train', 'test'], monitor })
    expect(train).toMatchObject({ name: 'pets', split: 'train', count: 4, height: 4, width: 4 })
    expect(train.classNames).toEqual(['cat', 'dog', 'eel'])
    expect([...train.labels]).toEqual([0, 0, 1, 2])
    expect([...test.labels]).toEqual([0, 2])
    expect(monitor.said).toEqual([
      "pets: the split 'test' has no images of dog; its classes are matched to those of 'train' by name.",
    ])
    const set = await readAll(train)
    for (const [i, value] of [30, 20, 10, 40].entries())
      expect(Math.abs(imageAt(set, i)[0]! - value)).toBeLessThan(3)
    expect(await splitSize(dataset, 'train')).toEqual({ count: 4, classes: 3 })
  })

  it('may hold images of any sizes, which become squares, and empty folders, which are no classes', async () => {
    const mixed = join(folder, 'mixed')
    await writeImages(mixed, { 'Train/a/1.png': 10, 'Train/b/more/2.png': 20, 'val/b/3.png': 30 })
    mkdirSync(join(mixed, 'Train', 'c'))
    const background = { r: 90, g: 90, b: 90 }
    const wide = sharp({ create: { width: 30, height: 7, channels: 3, background } })
    await wide.jpeg().toFile(join(mixed, 'Train', 'a', 'WIDE.JPG'))
    const monitor = listener()
    const options = { dataset: mixed, splits: ['train', 'test'] as const, size: 8, monitor }
    const [train, test] = await openSplits(options)
    expect([train.split, test.split]).toEqual(['Train', 'val'])
    expect([train.classNames, [...train.labels], [...test.labels]]).toEqual([['a', 'b'], [0, 0, 1], [1]])
    expect(monitor.said.slice(0, 2)).toEqual([
      "mixed: the split 'Train' is taken for 'train'.",
      "mixed: the split 'val' is taken for 'test'.",
    ])
    const set = await readAll(train)
    expect(set).toMatchObject({ height: 8, width: 8 })
    for (const [i, value] of [10, 90, 20].entries())
      expect(Math.abs(imageAt(set, i)[0]! - value)).toBeLessThan(3)
    expect(await refusal({ dataset: mixed, split: 'train' })).toContain('give a size to resize all to')
  })

  it('are sorted by value where they are numbers', async () => {
    const numbered = join(folder, 'numbered')
    await writeImages(numbered, { 'train/10/a.png': 1, 'train/9/a.png': 2, 'train/0/a.png': 3 })
    expect((await openSplit({ dataset: numbered, split: 'train' })).classNames).toEqual(['0', '9', '10'])
  })

  it('may be links', async () => {
    const linked = join(folder, 'linked')
    mkdirSync(join(linked, 'train'), { recursive: true })
    symlinkSync(join(dataset, 'train', 'cat'), join(linked, 'train', 'cat'))
    mkdirSync(join(linked, 'train', 'dog'))
    symlinkSync(join(dataset, 'train', 'dog', '1.png'), join(linked, 'train', 'dog', '1.png'))
    // A link that goes round comes to an end.
    symlinkSync(linked, join(linked, 'train', 'loop'))
    const names = (await openSplit({ dataset: linked, split: 'train' }).catch(() => undefined))?.classNames
    expect(names?.slice(0, 2)).toEqual(['cat', 'dog'])
  })

  it('name the file that is damaged, and go on when it is mended', async () => {
    const damaged = join(folder, 'damaged')
    await writeImages(damaged, { 'train/a/1.jpg': 10, 'train/b/1.jpg': 20 })
    const path = join(damaged, 'train', 'b', '1.jpg')
    const whole = await sharp(path).toBuffer()
    truncateSync(path, 200)
    const options = { dataset: damaged, split: 'train', size: 4 }
    expect(await refusal(options)).toContain(`${path}: the image cannot be decoded`)
    writeFileSync(path, whole)
    expect((await readAll(await openSplit(options))).count).toBe(2)
  })

  it('are known again by path, size and times, and read again when these change', async () => {
    const known = join(folder, 'known')
    await writeImages(known, { 'train/a/1.png': 10, 'train/b/1.png': 20 })
    const long = new Date(Date.now() - 60_000)
    for (const name of ['a', 'b']) utimesSync(join(known, 'train', name, '1.png'), long, long)
    const open = async () => {
      const monitor = listener()
      const { id } = await openSplit({ dataset: known, split: 'train', size: 4, monitor })
      return { id, bars: monitor.bars }
    }
    const first = await open()
    expect(first.bars).toEqual(['reading train images'])
    expect(await open()).toEqual({ id: first.id, bars: [] })
    await sharp(await plainPng(99)).toFile(join(known, 'train', 'a', '1.png'))
    const changed = await open()
    expect(changed.bars).toHaveLength(1)
    expect(changed.id).not.toBe(first.id)
  })

  it('say once that images have several frames', async () => {
    const animated = join(folder, 'animated')
    await writeImages(animated, { 'train/a/1.png': 10 })
    const frames = await Promise.all([plainPng(50), plainPng(90)])
    const gif = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer()
    mkdirSync(join(animated, 'train', 'b'))
    for (const name of ['1.gif', '2.gif']) writeFileSync(join(animated, 'train', 'b', name), gif)
    const monitor = listener()
    const set = await readAll(await openSplit({ dataset: animated, split: 'train', monitor }))
    expect(Math.abs(imageAt(set, 1)[0]! - 50)).toBeLessThan(3)
    expect(monitor.said).toHaveLength(1)
    expect(monitor.said[0]).toContain('have several frames')
  })
})

describe('the binary files of CIFAR', () => {
  const random = rng(1, 'cifar')
  const record = (...labels: number[]) =>
    Uint8Array.from({ length: labels.length + 3072 }, (_, i) => labels[i] ?? random.int(256))

  it('of ten classes give the values that they hold', async () => {
    const dataset = join(folder, 'cifar-10')
    const batches = join(dataset, 'cifar-10-batches-bin')
    mkdirSync(batches, { recursive: true })
    const records = [0, 1, 2, 0, 1].map(label => record(label))
    for (const [i, bytes] of records.entries()) writeFileSync(join(batches, `data_batch_${i + 1}.bin`), bytes)
    writeFileSync(join(batches, 'test_batch.bin'), Buffer.concat([record(2), record(1)]))
    writeFileSync(join(batches, 'batches.meta.txt'), 'plane\ncar\nbird\n\n')
    const [train, test] = await openSplits({ dataset, splits: ['train', 'test'] })
    expect(train.classNames).toEqual(['plane', 'car', 'bird'])
    expect([[...train.labels], [...test.labels]]).toEqual([
      [0, 1, 2, 0, 1],
      [2, 1],
    ])
    const set = await readAll(train)
    expect(set).toMatchObject({ height: 32, width: 32 })
    for (const [i, bytes] of records.entries()) expect([...imageAt(set, i)]).toEqual([...bytes.subarray(1)])

    // Resized they are what a PNG of the same values is.
    const resized = await readAll(await openSplit({ dataset, split: 'train', size: 48 }))
    const interleaved = Uint8Array.from(
      { length: 3072 },
      (_, i) => records[0]![1 + (i % 3) * 1024 + Math.floor(i / 3)]!,
    )
    const png = await sharp(interleaved, { raw: { width: 32, height: 32, channels: 3 } })
      .png()
      .toBuffer()
    expect([...imageAt(resized, 0)]).toEqual([...(await decodeRgb(png, { height: 48, width: 48 })).pixels])

    writeFileSync(join(batches, 'test_batch.bin'), record(3))
    expect(await refusal({ dataset, split: 'test' })).toContain(
      'row 0: label 3 is not a class, expected 0 to 2',
    )
    truncateSync(join(batches, 'test_batch.bin'), 3000)
    expect(await refusal({ dataset, split: 'test' })).toContain('3000 bytes, which are no records of 3073')
  })

  it('of a hundred classes ask which label is meant', async () => {
    const dataset = join(folder, 'cifar-100-binary')
    mkdirSync(dataset, { recursive: true })
    writeFileSync(join(dataset, 'train.bin'), Buffer.concat([record(1, 0), record(0, 2)]))
    writeFileSync(join(dataset, 'fine_label_names.txt'), 'apple\nbear\ncan\n')
    writeFileSync(join(dataset, 'coarse_label_names.txt'), 'animal\nthing\n')
    expect(await refusal({ dataset, split: 'train' })).toContain(
      'has several labels (coarse_label, fine_label): choose one with --label-column (columns.label)',
    )
    const fine = await openSplit({ dataset, split: 'train', columns: { label: 'fine_label' } })
    expect([fine.classNames, [...fine.labels]]).toEqual([
      ['apple', 'bear', 'can'],
      [0, 2],
    ])
    const coarse = await openSplit({ dataset, split: 'train', columns: { label: 'coarse_label' } })
    expect([coarse.classNames, [...coarse.labels]]).toEqual([
      ['animal', 'thing'],
      [1, 0],
    ])
    expect(fine.id).not.toBe(coarse.id)
    expect(await refusal({ dataset, split: 'train', columns: { label: 'label' } })).toContain(
      'has no label `label`',
    )
  })
})

describe('images in Parquet', () => {
  it('are what the decoder of pictures makes of them: CMYK, 16 bits, grey, transparent, turned', async () => {
    const rgb = { width: 8, height: 6, channels: 3 as const }
    const raw = Uint8Array.from({ length: 144 }, (_, i) => (i * 37) % 256)
    const picture = () => sharp(raw, { raw: rgb })
    const images = {
      cmyk: await picture().toColourspace('cmyk').jpeg({ quality: 90 }).toBuffer(),
      cmykTiff: await picture().toColourspace('cmyk').tiff().toBuffer(),
      deep: await picture().toColourspace('rgb16').png().toBuffer(),
      grey: await picture().greyscale().jpeg().toBuffer(),
      transparent: await picture().ensureAlpha(0.3).png().toBuffer(),
      turned: await picture().withMetadata({ orientation: 8 }).jpeg().toBuffer(),
    }
    expect((await sharp(images.cmyk).metadata()).space).toBe('cmyk')
    const dataset = join(folder, 'kinds')
    writeColumns(join(dataset, 'train.parquet'), [
      { name: 'image', type: 'image', data: Object.values(images) },
      { name: 'label', type: 'number', data: Object.keys(images).map((_, i) => i) },
    ])
    const set = await readAll(await openSplit({ dataset, split: 'train', size: 8 }))
    for (const [i, [kind, bytes]] of Object.entries(images).entries())
      expect(imageAt(set, i), kind).toEqual((await decodeRgb(bytes, { height: 8, width: 8 })).pixels)
    const plain = await picture().resize(8, 8, { fit: 'fill' }).raw().toBuffer()
    const deep = imageAt(set, 2)
    expect(deep.subarray(0, 64).every((value, i) => Math.abs(value - plain[3 * i]!) <= 1)).toBe(true)
  })

  it('are copied once for all sizes, and again when the copy is gone', async () => {
    const dataset = join(folder, 'sizes')
    mkdirSync(dataset, { recursive: true })
    copyFileSync(join(folder, 'kinds', 'train.parquet'), join(dataset, 'train.parquet'))
    process.env.AGEB_CACHE = join(folder, 'cache-of-sizes')
    const bars = async (size: number) => {
      const monitor = listener()
      await openSplit({ dataset, split: 'train', size, monitor })
      return monitor.bars.filter(bar => bar === 'reading train images').length
    }
    expect([await bars(4), await bars(8), await bars(4)]).toEqual([1, 0, 0])
  })
})
