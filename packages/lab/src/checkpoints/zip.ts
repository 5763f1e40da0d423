import { InputError } from 'onnxgrad'
import { quote } from './safetensors-format.js'

const END = 0x06054b50
const END_64 = 0x06064b50
const LOCATOR_64 = 0x07064b50
const DIRECTORY_ENTRY = 0x02014b50
const LOCAL_HEADER = 0x04034b50
/** Of the end record: its length without a comment, and the longest comment. */
const END_SIZE = 22
const LONGEST_COMMENT = 0xffff
/** In a 32-bit field: the value is in the 64-bit extra field. */
const IN_EXTRA = 0xffffffff

/** Reads a file of an archive as a view. Throws InputError if it is compressed or encrypted. */
export type ZipEntry = () => Uint8Array

/**
 * The files in a zip archive by name, of which those can be read that are stored as they are, which is how PyTorch
 * writes its own, also beyond 4 GiB. They are views of `bytes`: nothing is copied. Checksums are not compared, because PyTorch can be told to
 * leave them out.
 *
 * Every offset and length is checked before use, and no byte belongs to two entries, so that what is read is never
 * more than the file.
 *
 * @param file its name, for messages.
 * @throws InputError if it is no archive or damaged.
 */
export function openZip(bytes: Uint8Array, file: string): ReadonlyMap<string, ZipEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const damaged = (what: string) => new InputError(`${file} is cut short or damaged: ${what}`)
  /** A 64-bit number that is a place or a length in this file. */
  const place = (at: number, what: string): number => {
    const value = view.getBigUint64(at, true)
    if (value > BigInt(bytes.length))
      throw damaged(`${what} is ${value}, and the file has ${bytes.length} bytes`)
    return Number(value)
  }

  const directory = findDirectory()
  const entries: {
    readonly name: string
    readonly start: number
    readonly end: number
    readonly locked: string
  }[] = []
  let at = directory.start
  for (let i = 0; i < directory.count; i++) at = readEntry(at)
  entries.sort((a, b) => a.start - b.start)
  const files = new Map<string, ZipEntry>()
  let covered = 0
  for (const { name, start, end, locked } of entries) {
    if (start < covered) throw damaged(`${quote(name)} overlaps the entry before it`)
    if (files.has(name)) throw damaged(`it has ${quote(name)} two times`)
    files.set(name, () => {
      if (!locked) return bytes.subarray(start, end)
      throw new InputError(
        `${file}: ${quote(name)} is ${locked}, which torch.save never does: save it anew with it`,
      )
    })
    covered = end
  }
  return files

  function findDirectory() {
    const last = bytes.length - END_SIZE
    let end = last
    while (end >= 0 && end >= last - LONGEST_COMMENT && view.getUint32(end, true) !== END) end--
    if (end < 0 || end < last - LONGEST_COMMENT)
      throw damaged('a zip archive ends with a directory, and it does not')
    let [count, size, start] = [
      view.getUint16(end + 10, true),
      view.getUint32(end + 12, true),
      view.getUint32(end + 16, true),
    ]
    const locator = end - 20
    if (locator >= 0 && view.getUint32(locator, true) === LOCATOR_64) {
      const record = place(locator + 8, 'the place of its directory')
      if (record + 56 > locator || view.getUint32(record, true) !== END_64)
        throw damaged('its directory is not where it should be')
      count = place(record + 32, 'the number of its entries')
      size = place(record + 40, 'the length of its directory')
      start = place(record + 48, 'the start of its directory')
    }
    if (start + size > end) throw damaged('its directory reaches past its end')
    return { count, start, end: start + size }
  }

  /** Reads the entry of the directory at a place; returns the next one's. */
  function readEntry(at: number): number {
    if (at + 46 > directory.end || view.getUint32(at, true) !== DIRECTORY_ENTRY)
      throw damaged('its directory has fewer entries than it says')
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)]
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map(field =>
      view.getUint16(at + field, true),
    ) as [number, number, number]
    const nameAt = at + 46
    const extraAt = nameAt + nameLength
    const next = extraAt + extraLength + commentLength
    if (next > directory.end) throw damaged('its directory is cut off')
    const name = new TextDecoder().decode(bytes.subarray(nameAt, extraAt))
    const locked = flags & 1 ? 'encrypted' : method !== 0 ? 'compressed' : ''
    const wide = [24, 20, 42].map(field => view.getUint32(at + field, true))
    const [size, stored, header] = withExtra(wide, extraAt, extraAt + extraLength) as [number, number, number]
    if (size !== stored && !locked) throw damaged(`${quote(name)} has two sizes`)
    if (header + 30 > directory.start || view.getUint32(header, true) !== LOCAL_HEADER)
      throw damaged(`${quote(name)} is not where the directory says`)
    const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true)
    if (start + stored > directory.start) throw damaged(`${quote(name)} reaches past its end`)
    entries.push({ name, start, end: start + stored, locked })
    return next
  }

  /** Values of 32-bit fields, those that do not fit taken from the extra field in the same order. */
  function withExtra(values: readonly number[], from: number, to: number): number[] {
    let at = from
    while (at + 4 <= to && view.getUint16(at, true) !== 1) at += 4 + view.getUint16(at + 2, true)
    at += 4
    return values.map(value => {
      if (value !== IN_EXTRA) return value
      if (at + 8 > to) throw damaged('a 64-bit size is missing')
      at += 8
      return place(at - 8, 'a size or place')
    })
  }
}
