import { open, stat } from 'node:fs/promises'
import { chunkRange, readLeafColumn, readLeafPages } from '@ageb/lab'
import {
  type AsyncBuffer,
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadataAsync,
  parquetSchema,
  type RowGroup,
  type SchemaTree,
} from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { InputError } from 'onnxgrad'
import { type ChosenColumns, type ColumnChoice, chooseColumns } from './parquet-schema.js'

/** Encoded images of one page, in the file's order. */
export interface EncodedBatch {
  /** Row of the first image within its file, from 0. */
  readonly firstRow: number
  /** The files as stored: PNG, JPEG, … */
  readonly images: readonly Uint8Array[]
  /** The file names the publisher gave, where there are any. */
  readonly names: readonly (string | null)[]
}

/** One Parquet file of an image-classification split, opened: its metadata is read, not its rows. */
export interface ImageParquet {
  readonly path: string
  /** Rows as the metadata has it, at least 1; `images` and `labels` throw if the file holds another number. */
  readonly rows: number
  readonly columns: ChosenColumns
  /** The value of the `huggingface` metadata key, word for word. */
  readonly huggingface: string | undefined
  /** The images, a page at a time. Throws InputError. */
  images(): AsyncGenerator<EncodedBatch>
  /**
   * The label of every row: class indices from 0 (below the number of class names, if the file has those), or the names
   * of classes where the file has texts.
   *
   * @throws InputError that names file and row of a label that is missing or no class
   */
  labels(): Promise<number[] | string[]>
}

/** Labels of one file are held in memory. */
const maxRows = 2 ** 26

/** Classes without names are numbers below this. */
const maxClasses = 2 ** 16

/**
 * Opens a Parquet file in the layout of the Hugging Face hub: an image column (a struct of `bytes` and `path`, or the
 * bytes themselves) and a label column (`chooseColumns` tells which).
 *
 * @returns undefined if the file has no rows
 * @throws InputError if the file is missing, empty, cut short, not Parquet, or lacks one of the columns
 */
export async function openImageParquet(
  path: string,
  choice: ColumnChoice = {},
): Promise<ImageParquet | undefined> {
  await checkEnds(path)
  const file = await partsOf(path)
  const metadata = await readMetadata(path, file)
  const root = schemaOf(path, metadata)
  const rows = checkSizes(path, file, metadata)
  if (rows === 0) return undefined
  const huggingface = metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value
  const columns = chooseColumns(path, root, huggingface, choice)
  const source = { path, file, metadata, columns }
  return {
    path,
    rows,
    columns,
    huggingface,
    images: () => readImages(source),
    labels: () => readLabels(source),
  }
}

/** A file, read in parts. hyparquet's own copies each part twice on its way. */
async function partsOf(path: string): Promise<AsyncBuffer> {
  const { size } = await stat(path)
  return {
    byteLength: size,
    async slice(start, end = size) {
      const bytes = new Uint8Array(end - start)
      const handle = await open(path)
      try {
        for (let at = 0; at < bytes.length; ) {
          const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at)
          if (bytesRead === 0) throw new Error('the file was cut short')
          at += bytesRead
        }
      } finally {
        await handle.close()
      }
      return bytes.buffer
    },
  }
}

/** Tells apart the ways in which a file is not Parquet, since each wants something else done. */
async function checkEnds(path: string): Promise<void> {
  const magic = 'PAR1'
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new InputError(`${path} cannot be opened (${error.code}): check the path and its permissions.`)
  })
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new InputError(`${path} is not a file: give a Parquet file.`)
    if (stats.size === 0) throw new InputError(`${path} is empty: fetch it again.`)
    const ends = Buffer.alloc(8)
    await handle.read(ends, 0, 4, 0)
    await handle.read(ends, 4, 4, Math.max(0, stats.size - 4))
    const [head, tail] = [ends.toString('latin1', 0, 4), ends.toString('latin1', 4)]
    if (head === 'vers') {
      throw new InputError(
        `${path} looks like a Git LFS pointer and not the file itself: run \`git lfs pull\` there.`,
      )
    }
    if (head !== magic) throw new InputError(`${path} is not a Parquet file: give one in the hub's layout.`)
    if (tail !== magic || stats.size < 12) {
      throw new InputError(`${path} is cut short (its Parquet footer is missing): fetch it again.`)
    }
  } finally {
    await handle.close()
  }
}

async function readMetadata(path: string, file: AsyncBuffer): Promise<FileMetaData> {
  try {
    return await parquetMetadataAsync(file, { geoparquet: false })
  } catch (error) {
    throw new InputError(`${path} has a damaged Parquet footer (${reason(error)}): fetch it again.`)
  }
}

function schemaOf(path: string, metadata: FileMetaData): SchemaTree {
  try {
    const root = parquetSchema(metadata)
    if (root.children.every(({ element }) => typeof element.name === 'string')) return root
    throw new Error('a column has no name')
  } catch (error) {
    throw new InputError(`${path} has a damaged Parquet schema (${reason(error)}): fetch it again.`)
  }
}

/** The number of rows, once the sizes that the metadata declares are seen to be consistent and bearable. */
function checkSizes(path: string, file: AsyncBuffer, metadata: FileMetaData): number {
  const rows = Number(metadata.num_rows)
  if (rows > maxRows)
    throw new InputError(`${path} has ${rows} rows, and at most ${maxRows} are supported: split it up.`)
  let inGroups = 0
  for (const [index, group] of metadata.row_groups.entries()) {
    inGroups += Number(group.num_rows)
    for (const { meta_data } of group.columns) {
      if (!meta_data)
        throw new InputError(`${path} lacks column metadata in row group ${index}: fetch it again.`)
      const { start, end } = chunkRange(meta_data)
      if (start < 0 || end < start || end > file.byteLength) {
        throw new InputError(
          `${path} is damaged (row group ${index} would end at byte ${end} of ${file.byteLength}): ` +
            'fetch it again.',
        )
      }
    }
  }
  if (inGroups !== rows || rows < 0) {
    throw new InputError(
      `${path} is damaged (${rows} rows declared, ${inGroups} in its row groups): fetch it again.`,
    )
  }
  return rows
}

interface Source {
  readonly path: string
  readonly file: AsyncBuffer
  readonly metadata: FileMetaData
  readonly columns: ChosenColumns
}

async function* readImages({ path, file, metadata, columns }: Source): AsyncGenerator<EncodedBatch> {
  for (const { index, group, rows, firstRow } of groupsOf(metadata)) {
    try {
      const [bytes, fileNames] = [leafOf(group, columns.bytes), leafOf(group, columns.fileName)]
      if (!bytes) throw new Error('the column of the images is missing')
      const names = fileNames && (await readLeafColumn(file, metadata, fileNames, rows, compressors))
      let row = 0
      for await (const page of readLeafPages(file, metadata, bytes, rows, compressors)) {
        yield batchOf(path, firstRow + row, page, names?.slice(row, row + page.length))
        row += page.length
      }
    } catch (error) {
      throw damaged(path, index, error)
    }
  }
}

function batchOf(path: string, firstRow: number, page: unknown[], fileNames: unknown[] = []): EncodedBatch {
  const images = page.map((image, i) => {
    if (image instanceof Uint8Array) return image
    throw new InputError(
      `${path}, row ${firstRow + i}: there are no image bytes (a file name alone is not enough): embed the image files.`,
    )
  })
  const names = images.map((_, i) => {
    const name = fileNames[i]
    return typeof name === 'string' ? name : null
  })
  return { firstRow, images, names }
}

async function readLabels(source: Source): Promise<number[] | string[]> {
  const { path, columns } = source
  const numbers: number[] = []
  const texts: string[] = []
  for (const { index, group, rows, firstRow } of groupsOf(source.metadata)) {
    let values: unknown[]
    try {
      const column = leafOf(group, [columns.label])
      if (!column) throw new Error('the column of the labels is missing')
      values = await readLeafColumn(source.file, source.metadata, column, rows, compressors)
    } catch (error) {
      throw damaged(path, index, error)
    }
    for (const [i, value] of values.entries()) {
      const where = `${path}, row ${firstRow + i}`
      if (columns.labelKind === 'text' && !columns.classNames) texts.push(textOf(value, where))
      else numbers.push(indexOf(value, columns, where))
    }
  }
  return texts.length > 0 ? texts : numbers
}

function* groupsOf(metadata: FileMetaData) {
  let firstRow = 0
  for (const [index, group] of metadata.row_groups.entries()) {
    const rows = Number(group.num_rows)
    if (rows > 0) yield { index, group, rows, firstRow }
    firstRow += rows
  }
}

function leafOf(group: RowGroup, name: readonly string[]): ColumnMetaData | undefined {
  return group.columns.find(({ meta_data }) => meta_data?.path_in_schema.join('\0') === name.join('\0'))
    ?.meta_data
}

function damaged(path: string, group: number, error: unknown): InputError {
  if (error instanceof InputError) return error
  return new InputError(`${path} is damaged in row group ${group} (${reason(error)}): fetch it again.`)
}

function textOf(value: unknown, where: string): string {
  const text = value instanceof Uint8Array ? new TextDecoder().decode(value) : value
  if (typeof text === 'string' && text !== '') return text
  throw new InputError(`${where}: there is no label: give a split that is labelled.`)
}

/** The class index that a value of the label column stands for. */
function indexOf(value: unknown, { labelKind, classNames }: ChosenColumns, where: string): number {
  if (labelKind === 'text') {
    const text = textOf(value, where)
    const index = classNames!.indexOf(text)
    if (index >= 0) return index
    throw new InputError(
      `${where}: label '${text}' is none of the ${classNames!.length} classes that the file names.`,
    )
  }
  const label =
    typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean'
      ? Number(value)
      : Number.NaN
  const classes = classNames?.length ?? maxClasses
  if (Number.isInteger(label) && label >= 0 && label < classes) return label
  const problem =
    value === null || value === undefined
      ? 'there is no label'
      : `label ${value} is not a class, expected 0 to ${classes - 1}`
  throw new InputError(`${where}: ${problem}: give a split that is labelled.`)
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
