import { type AsyncBuffer, type ColumnMetaData, type FileMetaData, parquetSchema } from 'hyparquet'
import { parquetHeader, readColumn } from 'hyparquet/src/column.js'
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js'
import { getTreePath } from 'hyparquet/src/schema.js'
import { compressors } from 'hyparquet-compressors'

/** A column chunk or page larger than this unpacked is refused: it would be taken into memory whole. */
export const maxUnpackedBytes = 2 ** 30

/** Where a column chunk lies in its file, in bytes; `end` is exclusive. */
export function chunkRange(column: ColumnMetaData): { start: number; end: number } {
  const start = Number(column.dictionary_page_offset || column.data_page_offset)
  return { start, end: start + Number(column.total_compressed_size) }
}

/**
 * The values of one leaf column in one row group, null where there is none; binary values as bytes, strings
 * as strings. The chunk must lie within the file.
 *
 * hyparquet's own reading of whole rows is not used: on a damaged file it may loop for ever, or leave a
 * rejected promise behind that ends the process. Here the pages are checked first, and what it throws is caught.
 *
 * @param rows values that the chunk must have
 * @throws Error if the chunk is damaged
 */
export async function readLeafColumn(
  file: AsyncBuffer,
  metadata: FileMetaData,
  column: ColumnMetaData,
  rows: number,
): Promise<unknown[]> {
  const { start, end } = chunkRange(column)
  const view = new DataView(await file.slice(start, end))
  checkPages(view, rows)
  const schemaPath = getTreePath(parquetSchema(metadata), column.path_in_schema)
  const { data } = readColumn(
    { view, offset: 0 },
    { groupStart: 0, selectStart: 0, selectEnd: rows, groupRows: rows },
    {
      pathInSchema: column.path_in_schema,
      element: schemaPath.at(-1)!.element,
      schemaPath,
      type: column.type,
      codec: column.codec,
      compressors: boundedCompressors,
      parsers: DEFAULT_PARSERS,
      // Bytes are never taken for text unless the file declares them to be.
      utf8: false,
    },
  )
  const values = data.flatMap(chunk => Array.from<unknown, unknown>(chunk, unwrap))
  if (values.length !== rows) throw new Error(`${values.length} values where ${rows} are declared`)
  return values
}

/** A member of an optional struct comes in an array of its own, which is empty where there is no struct. */
function unwrap(value: unknown): unknown {
  return Array.isArray(value) ? unwrap(value[0]) : (value ?? null)
}

/** The reader believes what page headers say of lengths and counts, so the metadata is asked first. */
function checkPages(view: DataView, rows: number): void {
  const reader = { view, offset: 0 }
  let values = 0
  while (reader.offset < view.byteLength) {
    const header = parquetHeader(reader)
    const {
      compressed_page_size: packed,
      uncompressed_page_size: unpacked,
      data_page_header_v2: second,
    } = header
    const page = header.data_page_header ?? second
    const count = (page ?? header.dictionary_page_header)?.num_values
    const levels = second ? second.definition_levels_byte_length + second.repetition_levels_byte_length : 0
    const nulls = second?.num_nulls ?? 0
    const sound =
      isWithin(packed, view.byteLength - reader.offset) &&
      isWithin(unpacked, maxUnpackedBytes) &&
      isWithin(count, rows) &&
      isWithin(levels, packed) &&
      isWithin(nulls, rows)
    if (!sound)
      throw new Error(`a page header at byte ${reader.offset} of its column contradicts the metadata`)
    if (page) values += page.num_values
    reader.offset += packed
  }
  if (values !== rows) throw new Error(`${values} values where ${rows} are declared`)
}

function isWithin(value: number | undefined, most: number): boolean {
  return value !== undefined && value >= 0 && value <= most
}

/** The decompressors take the unpacked size from the page's own header. */
const boundedCompressors = Object.fromEntries(
  Object.entries(compressors).map(([codec, unpack]) => [
    codec,
    (input: Uint8Array, length: number) => {
      if (length < 0 || length > maxUnpackedBytes) throw new Error(`a page unpacks to ${length} bytes`)
      return unpack(input, length)
    },
  ]),
)
