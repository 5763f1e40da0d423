import { parquetWriteFile } from 'hyparquet-writer'

/** One row to write. */
export interface ImageRow {
  /** The image file's bytes, kept as they are. */
  readonly bytes: Uint8Array
  /** The image file's name, null for none. */
  readonly path: string | null
  /** Class index, 0 or more. */
  readonly label: number
}

/** What the columns are called and what the file says about itself. */
export interface ImageParquetHeader {
  readonly imageColumn: string
  readonly labelColumn: string
  /** The value of the `huggingface` metadata key; none is written if undefined. */
  readonly huggingface: string | undefined
}

/** Small row groups keep what a reader unpacks at once small. */
const rowGroupSize = 1000

/**
 * Writes one Parquet file of an image-classification split in the layout of the Hugging Face hub. The same
 * rows make the same bytes. An existing file is overwritten.
 *
 * @throws Error of the file system if the file cannot be written
 */
export function writeImageParquet(
  filename: string,
  header: ImageParquetHeader,
  rows: readonly ImageRow[],
): void {
  const { imageColumn, labelColumn, huggingface } = header
  parquetWriteFile({
    filename,
    schema: [
      { name: 'root', num_children: 2 },
      { name: imageColumn, repetition_type: 'OPTIONAL', num_children: 2 },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      { name: 'path', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL', converted_type: 'UTF8' },
      { name: labelColumn, type: 'INT64', repetition_type: 'OPTIONAL' },
    ],
    columnData: [
      { name: imageColumn, data: rows.map(({ bytes, path }) => ({ bytes, path })) },
      { name: labelColumn, data: rows.map(({ label }) => BigInt(label)) },
    ],
    rowGroupSize,
    statistics: false,
    ...(huggingface === undefined ? {} : { kvMetadata: [{ key: 'huggingface', value: huggingface }] }),
  })
}

/** The `huggingface` metadata of an image column and a label column with named classes. */
export function huggingfaceMetadata(
  imageColumn: string,
  labelColumn: string,
  classNames: readonly string[],
): string {
  return JSON.stringify({
    info: {
      features: {
        [imageColumn]: { _type: 'Image' },
        [labelColumn]: { names: classNames, _type: 'ClassLabel' },
      },
    },
  })
}
