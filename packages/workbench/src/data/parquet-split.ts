import { digestOf, type ImageSize } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { silent } from '../runs/monitor.js'
import { cacheFolder } from './cache.js'
import { foundClasses, numberedBy, some } from './class-names.js'
import { decodeRgb, type RgbImage, undecodable } from './decode.js'
import { digestsOfFiles } from './file-digests.js'
import { once } from './once.js'
import { PackedFile } from './packed-file.js'
import { type ImageParquet, openImageParquet } from './parquet.js'
import type { ColumnChoice } from './parquet-schema.js'
import type { Classes, StoredImages, StoredSplit, Watched } from './stored-images.js'

/** Beyond so many, texts of which most occur only once are no names of classes. */
const fewClasses = 1000

/** Encoded images of no more than this are held in memory, where the cache folder cannot be written. */
const heldBytes = 2 ** 30

/**
 * A split of Parquet files, in their order. Files without rows are passed over.
 *
 * @param where name of the data set and of the split
 * @throws InputError if a file is damaged or not labelled, or files differ in their columns or classes
 */
export async function parquetSplit(
  where: Pick<StoredSplit, 'name' | 'split'>,
  files: readonly string[],
  choice: ColumnChoice,
  watched: Watched,
): Promise<StoredSplit> {
  const shards = await openShards(where, files, choice)
  for (const remark of shards.flatMap(({ columns }) => columns.remarks))
    once(watched.monitor, `${where.name}: ${remark}`)
  const images = new ParquetImages(where.split, shards)
  const { labels, classes } = await labelsOf(shards)
  if (classes.kind === 'found')
    once(
      watched.monitor,
      `${where.name}: the texts of the column \`${shards[0]!.columns.label}\` are its classes (${some(classes.names)}).`,
    )
  return { ...where, images, labels, classes }
}

async function openShards(
  { name, split }: Pick<StoredSplit, 'name' | 'split'>,
  files: readonly string[],
  choice: ColumnChoice,
): Promise<readonly ImageParquet[]> {
  const shards: ImageParquet[] = []
  for (const file of files) {
    const shard = await openImageParquet(file, choice)
    if (shard) shards.push(shard)
  }
  const [first, ...rest] = shards
  if (!first) throw new InputError(`${name}: the split '${split}' has no rows: give a split with images.`)
  for (const { path, columns } of rest) {
    const { image, label, labelKind } = first.columns
    if (columns.image !== image || columns.label !== label || columns.labelKind !== labelKind) {
      throw new InputError(
        `${path} has images in \`${columns.image}\` and labels (${columns.labelKind}) in \`${columns.label}\`, ` +
          `but ${first.path} in \`${image}\` and \`${label}\` (${labelKind}): keep different data sets in different folders.`,
      )
    }
  }
  return shards
}

async function labelsOf(shards: readonly ImageParquet[]): Promise<{ labels: Int32Array; classes: Classes }> {
  const [first] = shards
  const { classNames, labelKind } = first!.columns
  const texts: string[] = []
  const numbers: number[] = []
  for (const { path, columns, labels } of shards) {
    const order = orderOf(columns.classNames, classNames)
    if (!order) {
      throw new InputError(
        `${path} names other classes than ${first!.path}: keep different data sets in different folders.`,
      )
    }
    for (const label of await labels()) {
      if (typeof label === 'string') texts.push(label)
      else numbers.push(order[label] ?? label)
    }
  }
  if (texts.length > 0) {
    const found = foundClasses(texts)
    const { length } = found.classes.names
    if (length > fewClasses && length > texts.length / 2)
      throw new InputError(
        `${first!.path}: the column \`${first!.columns.label}\` has ${length} different texts in ${texts.length} rows, ` +
          'so it names no classes: choose another with --label-column (columns.label).',
      )
    return found
  }
  const labels = Int32Array.from(numbers)
  if (classNames) return { labels, classes: { kind: 'declared', names: classNames } }
  if (labelKind === 'boolean') return { labels, classes: { kind: 'declared', names: ['false', 'true'] } }
  return { labels, classes: numberedBy(labels) }
}

/** For each of `names` its place among `reference`; undefined if the two are not the same classes. */
function orderOf(
  names: readonly string[] | undefined,
  reference: readonly string[] | undefined,
): readonly number[] | undefined {
  if (!names || !reference) return names === reference ? [] : undefined
  if (JSON.stringify(names) === JSON.stringify(reference)) return []
  const order = names.map(name => reference.indexOf(name))
  const isSame =
    names.length === reference.length && new Set(order).size === names.length && !order.includes(-1)
  return isSame ? order : undefined
}

/** Row groups cannot be read from the middle, so the encoded images are copied once into a file where they can. */
class ParquetImages implements StoredImages {
  readonly count: number
  /** How an encoded image is read; undefined if it is damaged. */
  #read: ((index: number) => Promise<Uint8Array | undefined>) | undefined
  #again: Promise<void> | undefined
  #id: Promise<string> | undefined

  constructor(
    private readonly split: string,
    private readonly shards: readonly ImageParquet[],
  ) {
    this.count = shards.reduce((sum, { rows }) => sum + rows, 0)
  }

  where(index: number): string {
    let row = index
    for (const { path, rows } of this.shards) {
      if (row < rows) return `${path}, row ${row}`
      row -= rows
    }
    throw new RangeError(`there is no image ${index}`)
  }

  id(watched: Watched): Promise<string> {
    this.#id ??= digestsOfFiles(
      this.shards.map(({ path }) => path),
      `${this.split} files`,
      watched,
    ).then(digests => digestOf('parquet', this.shards[0]!.columns.image, digests))
    return this.#id
  }

  async prepare(watched: Watched): Promise<void> {
    if (this.#read) return
    const { monitor, signal } = watched
    const id = await this.id(watched)
    const known = await PackedFile.open(id, this.count)
    if (known) {
      this.#read = index => known.read(index)
      return
    }
    const bar = monitor.progress(`reading ${this.split} images`, this.count)
    const shown = (async function* (images: AsyncIterable<Uint8Array>) {
      let done = 0
      for await (const image of images) {
        signal?.throwIfAborted()
        yield image
        if (++done % 100 === 0) bar.update(done)
      }
    })(this.#images())
    try {
      await PackedFile.write(id, this.count, shown)
      const packed = await PackedFile.open(id, this.count)
      this.#read = packed && (index => packed.read(index))
    } catch (error) {
      if (error instanceof InputError || signal?.aborted) throw error
      await this.#hold(error)
    } finally {
      bar.stop()
    }
  }

  async decode(index: number, size: ImageSize | undefined): Promise<RgbImage> {
    const encoded = (await this.#read?.(index)) ?? (await this.#readAgain(index))
    try {
      return await decodeRgb(encoded, size)
    } catch (error) {
      throw undecodable(this.where(index), error)
    }
  }

  async *#images(): AsyncGenerator<Uint8Array> {
    for (const shard of this.shards) for await (const { images } of shard.images()) yield* images
  }

  /** The copy is damaged or gone: it is made once more. */
  async #readAgain(index: number): Promise<Uint8Array> {
    const id = await this.id({ monitor: silent })
    this.#again ??= PackedFile.write(id, this.count, this.#images())
    await this.#again
    const packed = await PackedFile.open(id, this.count)
    const encoded = await packed?.read(index)
    if (!packed || !encoded)
      throw new InputError(`${cacheFolder()} loses what is written to it: set AGEB_CACHE to another folder.`)
    this.#read = at => packed.read(at)
    return encoded
  }

  /** Without a cache the encoded images are held in memory, if they are few. */
  async #hold(error: unknown): Promise<void> {
    const images: Uint8Array[] = []
    let held = 0
    for await (const image of this.#images()) {
      held += image.length
      if (held > heldBytes) {
        const { code = String(error) } = error as NodeJS.ErrnoException
        throw new InputError(
          `${cacheFolder()} cannot be written (${code}), and the images of the split '${this.split}' are too many ` +
            'to hold in memory: set AGEB_CACHE to a folder that can be written.',
        )
      }
      // A view would keep the whole page that it is in.
      images.push(Uint8Array.from(image))
    }
    this.#read = async index => images[index]
  }
}
