import {
  type AsyncBuffer,
  type ColumnMetaData,
  type Compressors,
  type FileMetaData,
  type PageHeader,
  parquetSchema,
  snappyUncompress,
} from 'hyparquet'
import { parquetHeader, readColumn } from 'hyparquet/src/column.js'
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js'
import { getTreePath } from 'hyparquet/src/schema.js'
import { checkRuns, MOST_VALUES } from './parquet-runs.js'

/** A page larger than this unpacked is refused: it would be taken into memory whole. */
const maxUnpackedBytes = 2 ** 30
/** A page header larger than this is damaged. */
const maxHeaderBytes = 2 ** 26

/** Where a column chunk lies in its file, in bytes; `end` is exclusive. */
export function chunkRange(column: ColumnMetaData): { start: number; end: number } {
  const start = Number(column.dictionary_page_offset || column.data_page_offset)
  return { start, end: start + Number(column.total_compressed_size) }
}

/**
 * The values of one leaf column in one row group, a page at a time, null where there is none; binary values as bytes,
 * strings as strings. The chunk must lie within the file. No more than a page is held.
 *
 * hyparquet's own reading of whole rows is not used: on a damaged file it may loop for ever, or leave a
 * rejected promise behind that ends the process. Here each page is checked first, and what it throws is caught.
 *
 * @param rows values that the chunk must have
 * @param compressors what unpacks pages, by codec
 * @throws Error if the chunk is damaged
 */
export async function* readLeafPages(
  file: AsyncBuffer,
  metadata: FileMetaData,
  column: ColumnMetaData,
  rows: number,
  compressors: Compressors = ownCompressors,
): AsyncGenerator<unknown[]> {
  const boundedCompressors = bounded(compressors)
  const { start, end } = chunkRange(column)
  const schemaPath = getTreePath(parquetSchema(metadata), column.path_in_schema)
  const decoder: Parameters<typeof readColumn>[2] = {
    pathInSchema: column.path_in_schema,
    element: schemaPath.at(-1)!.element,
    schemaPath,
    type: column.type,
    codec: column.codec,
    compressors: boundedCompressors,
    parsers: DEFAULT_PARSERS,
    // Bytes are never taken for text unless the file declares them to be.
    utf8: false,
  }
  const chunk = new ChunkReader(file, end)
  let dictionary = new Uint8Array(0)
  let values = 0
  for (let at = start; at < end; ) {
    const { header, headerBytes } = await readPageHeader(chunk, at, end)
    checkPage(header, end - at - headerBytes, rows)
    const page = await chunk.read(at, headerBytes + header.compressed_page_size)
    at += page.length
    const data = header.data_page_header ?? header.data_page_header_v2
    if (!data) {
      dictionary = Uint8Array.from(page)
      continue
    }
    values += data.num_values
    if (values > rows) break
    const bytes = dictionary.length > 0 ? Buffer.concat([dictionary, page]) : page
    const content = page.subarray(headerBytes)
    const check = (values: Uint8Array) => {
      checkRuns(header, schemaPath, column.type, header.data_page_header_v2 ? content : values, values)
      return values
    }
    const unpack = boundedCompressors[column.codec]
    const { data_page_header_v2: second } = header
    const isPacked = column.codec !== 'UNCOMPRESSED' && second?.is_compressed !== false
    if (!isPacked) {
      const levels = second ? second.definition_levels_byte_length + second.repetition_levels_byte_length : 0
      check(content.subarray(levels))
      // The levels of the second version are never packed, and read before the values are unpacked.
    } else if (second) check(new Uint8Array(0))
    // The dictionary, if there is one, is unpacked first, each time.
    let before = dictionary.length > 0 ? 1 : 0
    decoder.compressors =
      isPacked && unpack
        ? {
            ...boundedCompressors,
            [column.codec]: (input: Uint8Array, length: number) =>
              before-- > 0 ? unpack(input, length) : check(unpack(input, length)),
          }
        : boundedCompressors
    const decoded = readColumn(
      { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 },
      { groupStart: 0, selectStart: 0, selectEnd: data.num_values, groupRows: data.num_values },
      decoder,
    ).data.flatMap(part => Array.from<unknown, unknown>(part, unwrap))
    if (decoded.length !== data.num_values)
      throw new Error(`${decoded.length} values where ${data.num_values} are declared`)
    yield decoded
  }
  if (values !== rows) throw new Error(`${values} values where ${rows} are declared`)
}

/** All pages of `readLeafPages`, for columns of small values. */
export async function readLeafColumn(...of: Parameters<typeof readLeafPages>): Promise<unknown[]> {
  const values: unknown[] = []
  for await (const page of readLeafPages(...of)) for (const value of page) values.push(value)
  return values
}

/** A member of an optional struct comes in an array of its own, which is empty where there is no struct. */
function unwrap(value: unknown): unknown {
  return Array.isArray(value) ? unwrap(value[0]) : (value ?? null)
}

/** Small pages are read several at a time. */
const windowBytes = 2 ** 20

/** Parts of a column chunk, of which those that follow each other come from one reading. */
class ChunkReader {
  #start = 0
  #window = new Uint8Array(0)

  constructor(
    private readonly file: AsyncBuffer,
    private readonly end: number,
  ) {}

  async read(at: number, length: number): Promise<Uint8Array> {
    const offset = at - this.#start
    if (offset < 0 || offset + length > this.#window.length) {
      const end = Math.min(this.end, at + Math.max(length, windowBytes))
      this.#window = new Uint8Array(await this.file.slice(at, end))
      this.#start = at
      return this.#window.subarray(0, length)
    }
    return this.#window.subarray(offset, offset + length)
  }
}

async function readPageHeader(
  chunk: ChunkReader,
  at: number,
  end: number,
): Promise<{ header: PageHeader; headerBytes: number }> {
  // A header may hold the least and the greatest value of its page, whole images.
  for (let length = Math.min(2 ** 12, end - at); ; length = Math.min(2 * length, end - at)) {
    const bytes = await chunk.read(at, length)
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 }
    try {
      const header = parquetHeader(reader)
      if (reader.offset <= length) return { header, headerBytes: reader.offset }
      if (length === end - at) throw new Error('a page header is cut short')
    } catch (error) {
      if (length === end - at || length >= maxHeaderBytes) throw error
    }
  }
}

/** The reader believes what page headers say of lengths and counts, so the metadata is asked first. */
function checkPage(header: PageHeader, left: number, rows: number): void {
  const {
    compressed_page_size: packed,
    uncompressed_page_size: unpacked,
    data_page_header_v2: second,
  } = header
  const page = header.data_page_header ?? second
  const count = (page ?? header.dictionary_page_header)?.num_values
  const levels = second ? second.definition_levels_byte_length + second.repetition_levels_byte_length : 0
  const nulls = second?.num_nulls ?? 0
  const isSound =
    isWithin(packed, left) &&
    isWithin(unpacked, maxUnpackedBytes) &&
    isWithin(count, Math.min(rows, MOST_VALUES)) &&
    isWithin(levels, packed) &&
    isWithin(nulls, rows)
  if (!isSound) throw new Error('a page header contradicts the metadata')
}

function isWithin(value: number | undefined, most: number): boolean {
  return value !== undefined && value >= 0 && value <= most
}

/** What unpacks the pages of files that ageb wrote; others may need more. */
export const ownCompressors: Compressors = {
  SNAPPY(input, length) {
    const output = new Uint8Array(length)
    snappyUncompress(input, output)
    return output
  },
}

/** The decompressors take the unpacked size from the page's own header. */
function bounded(compressors: Compressors): Compressors {
  return Object.fromEntries(
    Object.entries(compressors).map(([codec, unpack]) => [
      codec,
      (input: Uint8Array, length: number) => {
        if (length < 0 || length > maxUnpackedBytes) throw new Error(`a page unpacks to ${length} bytes`)
        return unpack(input, length)
      },
    ]),
  )
}
