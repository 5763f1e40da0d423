import type { PageHeader, SchemaTree } from 'hyparquet'
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from 'hyparquet/src/schema.js'

/** A page with more values than this is refused: they would be taken into memory at once. */
export const MOST_VALUES = 2 ** 24

const byRuns = ['PLAIN_DICTIONARY', 'RLE_DICTIONARY', 'RLE']

/**
 * Checks the lengths of a page's runs. hyparquet writes out as many values as a run claims, whatever the page's header
 * says, and so ends the process.
 *
 * @param levels what precedes the values; of the second version of pages, both kinds of levels; else, levels and values
 * @param values what holds the values; the same as `levels` in the first version of pages
 * @throws Error if a run is longer than the page
 */
export function checkRuns(
  { data_page_header: first, data_page_header_v2: second }: PageHeader,
  schemaPath: SchemaTree[],
  type: string | undefined,
  levels: Uint8Array,
  values: Uint8Array,
): void {
  const page = first ?? second
  if (!page) return
  const most = page.num_values
  const widths = [getMaxRepetitionLevel(schemaPath), getMaxDefinitionLevel(schemaPath)].map(
    max => 32 - Math.clz32(max),
  )
  let at = 0
  for (const [i, width] of widths.entries()) {
    if (width === 0) continue
    const declared =
      second && (i === 0 ? second.repetition_levels_byte_length : second.definition_levels_byte_length)
    const length = declared ?? lengthAt(levels, at)
    if (declared === undefined) at += 4
    // To the end of the page: the reader does not stop at the length either.
    checkPart(levels.subarray(at), width, most)
    at += length
  }
  if (!byRuns.includes(page.encoding)) return
  let start = second ? 0 : at
  const width = type === 'BOOLEAN' ? 1 : (values[start] ?? 0)
  start += type === 'BOOLEAN' ? 4 : 1
  checkPart(values.subarray(start), width, most)
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true)
}

function checkPart(bytes: Uint8Array, width: number, most: number): void {
  let seen = 0
  for (let at = 0; at < bytes.length && seen < most; ) {
    let [header, shift, byte] = [0, 0, 0]
    do {
      byte = bytes[at++] ?? 0
      header += (byte & 0x7f) * 2 ** shift
      shift += 7
    } while (byte & 0x80 && shift < 63)
    const half = Math.floor(header / 2)
    // Packed values come in groups of eight, the last of which may be filled up.
    const isPacked = header % 2 === 1
    const count = isPacked ? 8 * half : half
    if (count > most + 7) throw new Error(`a run of ${count} values in a page of ${most}`)
    // The reader takes a packed run's first byte even if its values have no bits, or it has no values.
    at += isPacked ? Math.max(1, half * width) : Math.ceil(width / 8)
    seen += count
  }
}
