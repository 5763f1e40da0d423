import { InputError } from 'onnxgrad'

/** A tensor as read: half floats are widened, so that every consumer sees one of five arrays. */
export type SafeTensor = { readonly shape: readonly number[] } & (
  | { readonly dtype: 'F32' | 'F16' | 'BF16'; readonly data: Float32Array }
  | { readonly dtype: 'F64'; readonly data: Float64Array }
  | { readonly dtype: 'I64'; readonly data: BigInt64Array }
  | { readonly dtype: 'I32'; readonly data: Int32Array }
  | { readonly dtype: 'U8' | 'BOOL'; readonly data: Uint8Array }
)

export type SafeDtype = SafeTensor['dtype']

/** A tensor that can be written: any but the half floats, which this writer does not round to. */
export type WritableTensor =
  | Exclude<SafeTensor, { data: Float32Array }>
  | (Extract<SafeTensor, { data: Float32Array }> & { readonly dtype: 'F32' })

export interface SafetensorsFile {
  /** By name, in the order of the file's data. */
  readonly tensors: Map<string, SafeTensor>
  /** The file's `__metadata__`, empty when it has none. */
  readonly metadata: Record<string, string>
}

const ITEM_SIZES: ReadonlyMap<unknown, number> = new Map<SafeDtype, number>([
  ['F64', 8],
  ['I64', 8],
  ['F32', 4],
  ['I32', 4],
  ['F16', 2],
  ['BF16', 2],
  ['U8', 1],
  ['BOOL', 1],
])

/** One header entry, checked on its own; its place among the others is not. */
interface Entry {
  readonly name: string
  readonly dtype: SafeDtype
  readonly shape: readonly number[]
  readonly start: number
  readonly end: number
}

/**
 * Reads a safetensors file: an 8-byte little-endian header length, a JSON header, then the tensors' bytes
 * (https://huggingface.co/docs/safetensors).
 *
 * Nothing in the file is trusted: every length, offset, shape and type is checked before use, and the data has
 * to be covered by tensors without gap or overlap. Arrays are views of `bytes` where alignment permits, copies
 * elsewhere; so leave `bytes` unchanged while they are in use. Like typed arrays, it takes the machine to be
 * little-endian.
 *
 * @param bytes the whole file
 * @param where the file's name, for messages
 * @param options `finite`: also refuse a float tensor with a NaN or an infinity
 * @throws InputError on any fault, with one sentence that names the file
 */
export function parseSafetensors(
  bytes: Uint8Array,
  where: string,
  options: { readonly finite?: boolean } = {},
): SafetensorsFile {
  const { header, data } = split(bytes, where)
  const tensors = new Map<string, SafeTensor>()
  let metadata: Record<string, string> = {}
  const entries: Entry[] = []
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkMetadata(value, where)
    else entries.push(checkEntry(name, value, data.length, where))
  }
  entries.sort((a, b) => a.start - b.start || a.end - b.end)
  checkCover(entries, data.length, where)
  for (const entry of entries) {
    const tensor = decode(entry, data, where)
    if (options.finite && (tensor.data instanceof Float32Array || tensor.data instanceof Float64Array)) {
      assertFinite(entry.name, tensor.data, where)
    }
    tensors.set(entry.name, tensor)
  }
  return { tensors, metadata }
}

/**
 * Refuses a NaN or an infinity.
 *
 * @param name the tensor's name, for the message
 * @param where the file's name, for the message
 * @throws InputError naming the tensor and the first such index
 */
export function assertFinite(name: string, data: Float32Array | Float64Array, where: string): void {
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i]!)) {
      throw new InputError(
        `${where}: tensor ${quote(name)} holds ${data[i]} at index ${i}, where only finite values will do`,
      )
    }
  }
}

/**
 * Writes a safetensors file. The same tensors and metadata give the same bytes, whatever their order: header
 * keys are sorted; data lies by item size, widest first, then by name, so that every tensor is aligned.
 *
 * @param tensors name and tensor; the data takes the product of the shape
 * @param metadata strings for `__metadata__`
 * @throws RangeError on a repeated or reserved name, or when data and shape do not agree
 */
export function writeSafetensors(
  tensors: Iterable<readonly [string, WritableTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const sorted = [...tensors].sort(([a], [b]) => compare(a, b))
  sorted.forEach(([name, { shape, data }], i) => {
    if (name === '__metadata__' || name === sorted[i - 1]?.[0]) {
      throw new RangeError(
        `tensor name ${quote(name)} is ${name === '__metadata__' ? 'reserved' : 'repeated'}`,
      )
    }
    if (!shape.every(isSize) || product(shape) !== data.length) {
      throw new RangeError(`tensor ${quote(name)} of shape [${shape.join(', ')}] has ${data.length} values`)
    }
  })
  // The sort is stable: names stay in order within one item size.
  const placed = sorted.toSorted(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT)
  const offsets = new Map<string, [number, number]>()
  let length = 0
  for (const [name, { data }] of placed) {
    offsets.set(name, [length, length + data.byteLength])
    length += data.byteLength
  }

  const fields = sorted.map(([name, { dtype, shape }]) => {
    return field(name, JSON.stringify({ dtype, shape, data_offsets: offsets.get(name) }))
  })
  const notes = Object.entries(metadata).sort(([a], [b]) => compare(a, b))
  if (notes.length > 0) {
    fields.unshift(
      field('__metadata__', object(notes.map(([key, value]) => field(key, JSON.stringify(value))))),
    )
  }
  const header = new TextEncoder().encode(object(fields))
  const dataStart = 8 + Math.ceil(header.length / 8) * 8
  const bytes = new Uint8Array(dataStart + length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - 8), true)
  bytes.fill(0x20, 8, dataStart)
  bytes.set(header, 8)
  for (const [name, { data }] of placed) {
    bytes.set(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      dataStart + offsets.get(name)![0],
    )
  }
  return bytes
}

// By hand, because an object puts keys such as "10" first, whatever order it was given.
const field = (key: string, json: string) => `${JSON.stringify(key)}:${json}`
const object = (fields: string[]) => `{${fields.join(',')}}`
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

function split(bytes: Uint8Array, where: string): { header: Record<string, unknown>; data: Uint8Array } {
  if (bytes.length < 8) {
    throw new InputError(
      `${where} is no safetensors file: it has ${bytes.length} bytes, fewer than its length field`,
    )
  }
  // Compared as a BigInt: 2^60 and the like must not pass through a rounded number.
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
  if (length > BigInt(bytes.length - 8)) {
    throw new InputError(
      `${where} is cut short or no safetensors file: its header should take ${length} bytes, ` +
        `and ${bytes.length - 8} follow`,
    )
  }
  const dataStart = 8 + Number(length)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, dataStart))
  } catch {
    throw new InputError(`${where} is no safetensors file: its header is not UTF-8 text`)
  }
  let header: unknown
  try {
    header = JSON.parse(text)
  } catch {
    throw new InputError(`${where} is no safetensors file: its header is not JSON`)
  }
  if (!isRecord(header))
    throw new InputError(`${where} is no safetensors file: its header is not a JSON object`)
  return { header, data: bytes.subarray(dataStart) }
}

function checkMetadata(value: unknown, where: string): Record<string, string> {
  if (!isRecord(value)) throw new InputError(`${where}: __metadata__ is not a JSON object`)
  const notes = Object.entries(value).map(([key, note]): [string, string] => {
    if (typeof note !== 'string') throw new InputError(`${where}: __metadata__ ${quote(key)} is not a string`)
    return [key, note]
  })
  // Defines keys rather than assigning them: "__proto__" stays a key like any other.
  return Object.fromEntries(notes)
}

function checkEntry(name: string, value: unknown, dataLength: number, where: string): Entry {
  const fault = (what: string) => new InputError(`${where}: tensor ${quote(name)} ${what}`)
  if (!isRecord(value)) throw fault('is not described by a JSON object')
  const { dtype, shape, data_offsets: offsets } = value
  const itemSize = ITEM_SIZES.get(dtype)
  if (itemSize === undefined) {
    throw fault(`has dtype ${quote(dtype)}; those supported are ${[...ITEM_SIZES.keys()].join(', ')}`)
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw fault(`has shape ${quote(shape)}, which is not a list of whole numbers from 0`)
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw fault(`has data_offsets ${quote(offsets)}, which are not two whole numbers from 0`)
  }
  const [start, end] = offsets as [number, number]
  if (start > end) throw fault(`begins at byte ${start}, after its end ${end}`)
  if (end > dataLength) throw fault(`ends at byte ${end} of ${dataLength}; the file is cut short or damaged`)
  const size = product([...shape, itemSize])
  if (size === undefined) throw fault(`has shape ${quote(shape)}, too large for any file`)
  if (size !== end - start) {
    throw fault(
      `takes ${size} bytes by its shape ${quote(shape)} of ${dtype}, but ${end - start} by its offsets`,
    )
  }
  return { name, dtype: dtype as SafeDtype, shape, start, end }
}

/** The data must be tensors end to end. Takes entries sorted by offset. */
function checkCover(entries: readonly Entry[], dataLength: number, where: string): void {
  let covered = 0
  for (const { name, start, end } of entries) {
    if (start < covered) throw new InputError(`${where}: tensor ${quote(name)} overlaps the one before it`)
    if (start > covered) {
      throw new InputError(
        `${where}: bytes ${covered} to ${start} before tensor ${quote(name)} belong to no tensor`,
      )
    }
    covered = end
  }
  if (covered < dataLength) {
    throw new InputError(`${where}: the last ${dataLength - covered} bytes belong to no tensor`)
  }
}

function decode({ name, dtype, shape, start, end }: Entry, data: Uint8Array, where: string): SafeTensor {
  const bytes = data.subarray(start, end)
  switch (dtype) {
    case 'F64':
      return { dtype, shape, data: view(bytes, Float64Array) }
    case 'F32':
      return { dtype, shape, data: view(bytes, Float32Array) }
    case 'F16':
      return { dtype, shape, data: widenF16(view(bytes, Uint16Array)) }
    case 'BF16':
      return { dtype, shape, data: widenBF16(view(bytes, Uint16Array)) }
    case 'I64':
      return { dtype, shape, data: view(bytes, BigInt64Array) }
    case 'I32':
      return { dtype, shape, data: view(bytes, Int32Array) }
    case 'U8':
      return { dtype, shape, data: view(bytes, Uint8Array) }
    case 'BOOL': {
      const index = bytes.findIndex(value => value > 1)
      if (index >= 0) {
        throw new InputError(
          `${where}: tensor ${quote(name)} of BOOL holds ${bytes[index]} at index ${index}, neither 0 nor 1`,
        )
      }
      return { dtype, shape, data: view(bytes, Uint8Array) }
    }
  }
}

interface ArrayType<T> {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T
}

function view<T>(bytes: Uint8Array, Type: ArrayType<T>): T {
  const aligned = bytes.byteOffset % Type.BYTES_PER_ELEMENT === 0
  // Not `bytes.slice()`: that of Node's Buffer makes no copy.
  const from = aligned ? bytes : new Uint8Array(bytes)
  return new Type(from.buffer, from.byteOffset, bytes.length / Type.BYTES_PER_ELEMENT)
}

/** IEEE binary16 to binary32; exact. */
function widenF16(halves: Uint16Array): Float32Array {
  const floats = new Float32Array(halves.length)
  const bits = new Uint32Array(floats.buffer)
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!
    const exponent = half & 0x7c00
    if (exponent === 0) {
      // Zero or subnormal: the mantissa counts units of 2^-24; the sign keeps −0.
      floats[i] = (half & 0x8000 ? -1 : 1) * (half & 0x3ff) * 2 ** -24
    } else {
      // Exponent bias 15 becomes 127; all ones (infinity, NaN) stays all ones.
      const rebias = exponent === 0x7c00 ? 0x70000000 : 0x38000000
      bits[i] = ((half & 0x8000) << 16) | (((half & 0x7fff) << 13) + rebias)
    }
  }
  return floats
}

/** bfloat16 is the upper half of a binary32. */
function widenBF16(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length)
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16
  return new Float32Array(bits.buffer)
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Undefined when it, or a partial product, is beyond 2^53. */
function product(sizes: readonly number[]): number | undefined {
  let total = 1
  for (const size of sizes) {
    total *= size
    if (!Number.isSafeInteger(total)) return undefined
  }
  return total
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A value from a file as it may stand in a message: escaped, on one line, of limited length. */
function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? 'none'
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
