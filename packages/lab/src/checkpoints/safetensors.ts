import { InputError } from 'onnxgrad'
import { widenBF16, widenF16 } from './half-floats.js'
import { ITEM_SIZES, isSize, product, quote, type SafeDtype, type SafeTensor } from './safetensors-format.js'

export type { SafeDtype, SafeTensor } from './safetensors-format.js'

export interface SafetensorsFile {
  /** By name, in the order of the file's data. */
  readonly tensors: Map<string, SafeTensor>
  /** The file's `__metadata__`, empty when it has none. */
  readonly metadata: Record<string, string>
}

/** One header entry, checked on its own; its place among the others is not. */
interface Entry {
  readonly name: string
  readonly dtype: SafeDtype
  readonly shape: readonly number[]
  readonly start: number
  readonly end: number
}

/** A tensor of a file whose header was read and found in order, and whose values were not looked at. */
export interface StoredTensor {
  readonly dtype: SafeDtype
  readonly shape: readonly number[]
  /** @throws InputError if the values are none of the dtype. */
  read(): SafeTensor
}

export interface StoredTensors {
  /** By name, in the order of the file's data. */
  readonly tensors: Map<string, StoredTensor>
  /** The file's `__metadata__`, empty when it has none. */
  readonly metadata: Record<string, string>
}

/**
 * Opens a safetensors file: an 8-byte little-endian header length, a JSON header, then the tensors' bytes
 * (https://huggingface.co/docs/safetensors). No memory is taken for values until a tensor is read.
 *
 * Nothing in the file is trusted: every length, offset, shape and type is checked before use, and the data has
 * to be covered by tensors without gap or overlap. Arrays are views of `bytes` where alignment permits, copies
 * elsewhere; so leave `bytes` unchanged while they are in use. Like typed arrays, it takes the machine to be
 * little-endian.
 *
 * @param bytes the whole file
 * @param where the file's name, for messages
 * @throws InputError on any fault, with one sentence that names the file
 */
export function openSafetensors(bytes: Uint8Array, where: string): StoredTensors {
  const { header, data } = split(bytes, where)
  let metadata: Record<string, string> = {}
  const entries: Entry[] = []
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkMetadata(value, where)
    else entries.push(checkEntry(name, value, data.length, where))
  }
  entries.sort((a, b) => a.start - b.start || a.end - b.end)
  checkCover(entries, data.length, where)
  const tensors = entries.map((entry): [string, StoredTensor] => {
    const { name, dtype, shape } = entry
    return [
      name,
      { dtype, shape, read: () => decodeTensor(entry, data.subarray(entry.start, entry.end), where) },
    ]
  })
  return { tensors: new Map(tensors), metadata }
}

/**
 * Reads a safetensors file with all its tensors.
 *
 * @param options `finite`: also refuse a float tensor with a NaN or an infinity
 * @throws InputError on any fault, with one sentence that names the file
 * @see openSafetensors
 */
export function parseSafetensors(
  bytes: Uint8Array,
  where: string,
  options: { readonly finite?: boolean } = {},
): SafetensorsFile {
  const { tensors: stored, metadata } = openSafetensors(bytes, where)
  const tensors = new Map<string, SafeTensor>()
  for (const [name, { read }] of stored) {
    const tensor = read()
    if (options.finite && (tensor.data instanceof Float32Array || tensor.data instanceof Float64Array)) {
      assertFinite(name, tensor.data, where)
    }
    tensors.set(name, tensor)
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

/**
 * The values of a tensor from its bytes, little-endian and row by row.
 * @throws InputError if they are none of the dtype
 */
export function decodeTensor(
  { name, dtype, shape }: Pick<Entry, 'name' | 'dtype' | 'shape'>,
  bytes: Uint8Array,
  where: string,
): SafeTensor {
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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
