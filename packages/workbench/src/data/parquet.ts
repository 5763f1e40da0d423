import { open } from 'node:fs/promises'
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetSchema,
  type SchemaTree,
} from 'hyparquet'
import { InputError } from 'onnxgrad'
import { z } from 'zod'
import { chunkRange, maxUnpackedBytes, readLeafColumn } from './parquet-column.js'

/** Encoded images of one row group, in the file's order. */
export interface EncodedBatch {
  /** Row of the first image within its file, from 0. */
  readonly firstRow: number
  /** The files as stored: PNG, JPEG, … */
  readonly images: readonly Uint8Array[]
  /** The file names the publisher gave, where there are any. */
  readonly names: readonly (string | null)[]
  /** One class index an image, 0 or more (and below the number of class names, if the file has those). */
  readonly labels: Int32Array
}

/** One Parquet file of an image-classification split, opened: its metadata is read, not its rows. */
export interface ImageParquet {
  readonly path: string
  /** Rows as the metadata has it; `batches` throws if the file holds another number. */
  readonly rows: number
  readonly imageColumn: string
  readonly labelColumn: string
  /** Undefined where the file does not say. */
  readonly classNames: readonly string[] | undefined
  /** The value of the `huggingface` metadata key, word for word. */
  readonly huggingface: string | undefined
  /** The rows, a row group at a time. Throws InputError. */
  batches(): AsyncGenerator<EncodedBatch>
}

const featuresSchema = z.object({
  info: z.object({
    features: z.record(z.string(), z.looseObject({ _type: z.string().optional() })),
  }),
})
const classNamesSchema = z.array(z.string()).min(1)

/**
 * Opens a Parquet file in the layout of the Hugging Face hub: an image column (a struct of `bytes` and
 * `path`) and an integer label column. The columns are those that the `huggingface` metadata declares as
 * Image and ClassLabel, or else those of fitting type; of several label columns, the one called `label`,
 * else the first.
 *
 * @throws InputError if the file is missing, empty, cut short, not Parquet, or lacks one of the columns
 */
export async function openImageParquet(path: string): Promise<ImageParquet> {
  await checkEnds(path)
  const file = await asyncBufferFromFile(path)
  const metadata = await readMetadata(path, file)
  const root = schemaOf(path, metadata)
  const huggingface = metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value
  const features = parseFeatures(huggingface)
  const imageColumn = findImageColumn(root, features)
  if (imageColumn === undefined) {
    throw new InputError(
      `${path} has no image column (a struct with binary \`bytes\`) among its columns ${columnList(root)}: ` +
        'give an image-classification data set.',
    )
  }
  const labelColumn = findLabelColumn(root, features)
  if (labelColumn === undefined) {
    throw new InputError(
      `${path} has no integer label column among its columns ${columnList(root)}: ` +
        'give an image-classification data set.',
    )
  }
  const classNames = classNamesSchema.safeParse(features?.[labelColumn]?.names).data
  const rows = checkSizes(path, file, metadata)
  return {
    path,
    rows,
    imageColumn,
    labelColumn,
    classNames,
    huggingface,
    batches: () => readBatches({ path, file, metadata, imageColumn, labelColumn, classNames }),
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
    return parquetSchema(metadata)
  } catch (error) {
    throw new InputError(`${path} has a damaged Parquet schema (${reason(error)}): fetch it again.`)
  }
}

/** The number of rows, once the sizes that the metadata declares are seen to be consistent and bearable. */
function checkSizes(path: string, file: AsyncBuffer, metadata: FileMetaData): number {
  const rows = Number(metadata.num_rows)
  if (rows === 0) throw new InputError(`${path} has no rows: give a split with images.`)
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
      if (Number(meta_data.total_uncompressed_size) > maxUnpackedBytes) {
        throw new InputError(
          `${path} unpacks to more than 1 GiB in row group ${index}, too much to take into memory at once: ` +
            'write it with smaller row groups.',
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
  path: string
  file: AsyncBuffer
  metadata: FileMetaData
  imageColumn: string
  labelColumn: string
  classNames: readonly string[] | undefined
}

async function* readBatches(source: Source): AsyncGenerator<EncodedBatch> {
  let firstRow = 0
  for (const [index, { num_rows }] of source.metadata.row_groups.entries()) {
    const rows = Number(num_rows)
    if (rows === 0) continue
    const group = await readGroup(source, index, rows)
    const images: Uint8Array[] = []
    const names: (string | null)[] = []
    const labels = new Int32Array(rows)
    for (let i = 0; i < rows; i++) {
      const where = `${source.path}, row ${firstRow + i}`
      const bytes = group.bytes[i]
      if (!(bytes instanceof Uint8Array)) {
        throw new InputError(
          `${where}: there are no image bytes (a file name alone is not enough): embed the image files.`,
        )
      }
      images.push(bytes)
      const name = group.names?.[i]
      names.push(typeof name === 'string' ? name : null)
      labels[i] = checkLabel(group.labels[i], source.classNames, where)
    }
    yield { firstRow, images, names, labels }
    firstRow += rows
  }
}

async function readGroup(source: Source, index: number, rows: number) {
  const { path, file, metadata, imageColumn, labelColumn } = source
  const columns = metadata.row_groups[index]!.columns.map(({ meta_data }) => meta_data!)
  const read = async (...name: string[]) => {
    const column = columns.find(({ path_in_schema }) => path_in_schema.join('\0') === name.join('\0'))
    return column && (await readLeafColumn(file, metadata, column, rows))
  }
  try {
    const bytes = await read(imageColumn, 'bytes')
    const names = await read(imageColumn, 'path')
    const labels = await read(labelColumn)
    if (!bytes || !labels) throw new Error('a column is missing')
    return { bytes, names, labels }
  } catch (error) {
    throw new InputError(`${path} is damaged in row group ${index} (${reason(error)}): fetch it again.`)
  }
}

function checkLabel(value: unknown, classNames: readonly string[] | undefined, where: string): number {
  const classes = classNames?.length ?? 2 ** 16
  const label = typeof value === 'bigint' || typeof value === 'number' ? Number(value) : Number.NaN
  if (Number.isInteger(label) && label >= 0 && label < classes) return label
  const shown = value === null || value === undefined ? 'there is no label' : `label ${value} is not a class`
  throw new InputError(`${where}: ${shown}, expected 0 to ${classes - 1}: give a split that is labelled.`)
}

type Features = z.infer<typeof featuresSchema>['info']['features']

function parseFeatures(text: string | undefined): Features | undefined {
  if (text === undefined) return undefined
  try {
    return featuresSchema.safeParse(JSON.parse(text)).data?.info.features
  } catch {
    // Metadata that does not parse only costs the class names: the columns are found by type.
    return undefined
  }
}

function findImageColumn(root: SchemaTree, features: Features | undefined): string | undefined {
  const fitting = root.children.filter(({ children }) =>
    children.some(({ element }) => element.name === 'bytes' && element.type === 'BYTE_ARRAY'),
  )
  return declaredFirst(fitting, features, 'Image')[0]
}

function findLabelColumn(root: SchemaTree, features: Features | undefined): string | undefined {
  const fitting = root.children.filter(
    ({ element }) =>
      (element.type === 'INT64' || element.type === 'INT32') && element.repetition_type !== 'REPEATED',
  )
  const candidates = declaredFirst(fitting, features, 'ClassLabel')
  return candidates.find(name => name === 'label') ?? candidates[0]
}

/** The names of the columns that the features declare to be of `type`; if there are none, of all. */
function declaredFirst(
  columns: readonly SchemaTree[],
  features: Features | undefined,
  type: string,
): string[] {
  const names = columns.map(({ element }) => element.name)
  const declared = names.filter(name => features?.[name]?._type === type)
  return declared.length > 0 ? declared : names
}

function columnList(root: SchemaTree): string {
  return root.children.map(({ element }) => `\`${element.name}\``).join(', ') || '(none)'
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
