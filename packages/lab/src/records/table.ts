import { type FileMetaData, parquetMetadata } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer/src/write.js'
import { InputError } from 'onnxgrad'
import { chunkRange, readLeafPages } from './parquet-column.js'

/** A column: whole numbers, single-precision numbers or texts, one a row. */
export type Column = Int32Array | Float32Array | readonly string[]

/** Columns by name, of equal length. */
export type Table = Readonly<Record<string, Column>>

/**
 * A table as a Parquet file, which any data frame library reads. Equal tables give equal bytes.
 * @param about facts of the whole table, kept in the file's metadata
 */
export function encodeTable(table: Table, about: Readonly<Record<string, string>> = {}): Uint8Array {
  const buffer = parquetWriteBuffer({
    columnData: Object.entries(table).map(([name, data]) => ({
      name,
      data: data instanceof Int32Array || data instanceof Float32Array ? data : [...data],
      type: data instanceof Int32Array ? 'INT32' : data instanceof Float32Array ? 'FLOAT' : 'STRING',
      nullable: false,
    })),
    statistics: false,
    kvMetadata: Object.entries(about).map(([key, value]) => ({ key, value })),
  })
  return new Uint8Array(buffer)
}

/** What a column of a table to read holds. */
export type ColumnKind = 'int' | 'float' | 'text'
type ColumnOf<K extends ColumnKind> = K extends 'int'
  ? Int32Array
  : K extends 'float'
    ? Float32Array
    : string[]

/**
 * Reads the wanted columns of a table that `encodeTable` wrote.
 * @param where the file's name, for messages
 * @throws InputError if the file is no Parquet table or lacks a column
 */
export async function decodeTable<K extends Record<string, ColumnKind>>(
  bytes: Uint8Array,
  kinds: K,
  where: string,
): Promise<{ [name in keyof K]: ColumnOf<K[name]> }> {
  // A copy with a buffer of its own: a Buffer of Node may be a piece of a larger one.
  const file = new Uint8Array(bytes).buffer
  try {
    const metadata = parquetMetadata(file)
    const columns = []
    for (const [name, kind] of Object.entries(kinds))
      columns.push([name, columnOf(kind, await valuesOf(file, metadata, name, kind))])
    return Object.fromEntries(columns)
  } catch (error) {
    throw new InputError(
      `${where} is not a table of ageb (${(error as Error).message.split('\n')[0]}): restore it from a copy`,
    )
  }
}

const types = { int: 'INT32', float: 'FLOAT', text: 'BYTE_ARRAY' } as const

/** The values of a column. Throws Error if it is missing, of another type or damaged. */
async function valuesOf(file: ArrayBuffer, metadata: FileMetaData, name: string, kind: ColumnKind) {
  const values: unknown[] = []
  for (const { columns, num_rows } of metadata.row_groups) {
    const column = columns.find(({ meta_data }) => meta_data?.path_in_schema.join('.') === name)?.meta_data
    if (column?.type !== types[kind]) throw new Error(`it has no column '${name}' of kind ${kind}`)
    const { start, end } = chunkRange(column)
    if (!(start >= 0 && start <= end && end <= file.byteLength))
      throw new Error(`its column '${name}' would lie outside of it`)
    for await (const page of readLeafPages(file, metadata, column, Number(num_rows)))
      for (const value of page) {
        if (value === undefined || value === null) throw new Error(`its column '${name}' is not complete`)
        values.push(value)
      }
  }
  if (values.length !== Number(metadata.num_rows))
    throw new Error(`its column '${name}' has ${values.length} of ${metadata.num_rows} rows`)
  return values
}

function columnOf(kind: ColumnKind, values: readonly unknown[]): Column {
  if (kind === 'text') return values.map(String)
  return kind === 'int' ? Int32Array.from(values, Number) : Float32Array.from(values, Number)
}

/**
 * Checks that columns hold classes, from 0 to `classes` − 1.
 * @param where the file's name, for messages
 * @throws InputError naming the row and the column of a value that is none
 */
export function assertClasses(
  columns: Readonly<Record<string, Int32Array>>,
  classes: number,
  where: string,
): void {
  for (const [name, values] of Object.entries(columns)) {
    const row = values.findIndex(value => value < 0 || value >= classes)
    if (row >= 0)
      throw new InputError(
        `${where}, row ${row}: '${name}' is ${values[row]}, but there are the classes 0 to ${classes - 1}`,
      )
  }
}
