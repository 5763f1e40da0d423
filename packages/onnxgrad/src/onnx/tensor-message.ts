import { InputError } from '../errors.js'
import { arrayOf, type DType, dtypeNumbered, dtypes, type TensorData } from '../graph/dtype.js'
import type { Shape, Tensor } from '../graph/tensor.js'
import type { TensorMessage } from './schema.js'

/** Reads `length` bytes from `offset` of a file beside the model. `location` is relative and has no '..'. */
export type ExternalData = (location: string, offset: number, length: number) => Uint8Array

/** What ONNX calls the types that this package does not have. */
const otherTypes: Readonly<Record<number, string>> = {
  0: 'undefined',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  8: 'string',
  10: 'float16',
  12: 'uint32',
  13: 'uint64',
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
}
const FLOAT16 = 10
const BFLOAT16 = 16
const EXTERNAL = 1
/** More axes than any operator of the runtime takes. */
export const MAX_RANK = 32

export function showDataType(number: number): string {
  return dtypeNumbered(number) ?? otherTypes[number] ?? `type number ${number}`
}

/** The element type of a data type number. Throws InputError where this package has none. */
export function dtypeOf(number: number, where: string): DType {
  const dtype = dtypeNumbered(number)
  if (dtype) return dtype
  const advice = number === FLOAT16 || number === BFLOAT16 ? '; export the model in float32' : ''
  throw new InputError(`${where} is of ${showDataType(number)}, which is not supported${advice}`)
}

/** The lengths of the axes, and the number of elements. Throws InputError where they are no lengths. */
export function shapeOf(dims: TensorMessage['dims'], where: string): { shape: Shape; size: number } {
  if (dims.length > MAX_RANK)
    throw new InputError(`${where} has ${dims.length} axes; at most ${MAX_RANK} can be`)
  const shape = dims.map(Number)
  const size = shape.reduce((product, dim) => product * dim, 1)
  if (!shape.every(dim => Number.isSafeInteger(dim) && dim >= 0) || !Number.isSafeInteger(size)) {
    throw new InputError(`${where} cannot have shape [${shape.join(', ')}]; the file is damaged`)
  }
  return { shape, size }
}

/**
 * A TensorProto as a tensor; float16 and bfloat16 are widened to float32. What is stored as raw bytes is not copied
 * where it lies aligned. Memory is taken only for elements that are there.
 */
export function readTensor(message: TensorMessage, where: string, external?: ExternalData): Tensor {
  const { dataType } = message
  const { shape, size } = shapeOf(message.dims, where)
  const half = dataType === FLOAT16 || dataType === BFLOAT16
  const dtype = half ? 'float32' : dtypeOf(dataType, where)
  const width = half ? Uint16Array.BYTES_PER_ELEMENT : dtypes[dtype].array.BYTES_PER_ELEMENT
  const wrongSize = (came: string) =>
    new InputError(
      `${where} of shape [${shape.join(', ')}] needs ${size * width} bytes of ${showDataType(dataType)} but has ${came}; the file is damaged`,
    )
  const isExternal = message.dataLocation === EXTERNAL
  if (isExternal || message.rawData.length > 0) {
    const bytes = isExternal ? readExternal(message, size * width, where, external) : message.rawData
    if (bytes.length !== size * width) throw wrongSize(`${bytes.length} bytes`)
    return { dtype, shape, data: half ? widened(view(Uint16Array, bytes), dataType) : dataOf(dtype, bytes) }
  }
  const { floatData, int32Data, int64Data, doubleData } = message
  const typed = { float32: floatData, float64: doubleData, int64: int64Data }
  const values = dtype in typed && !half ? typed[dtype as keyof typeof typed] : int32Data
  if (values.length !== size) throw wrongSize(`${values.length} values`)
  if (half) return { dtype, shape, data: widened(values as readonly number[], dataType) }
  if (dtype === 'int64')
    return { dtype, shape, data: BigInt64Array.from(int64Data, v => BigInt(v.toString())) }
  return { dtype, shape, data: arrayOf(dtype, values as readonly number[]) }
}

function readExternal(
  { externalData }: TensorMessage,
  expected: number,
  where: string,
  read: ExternalData | undefined,
): Uint8Array {
  const entries = new Map(externalData.map(({ key, value }) => [key, value]))
  const location = entries.get('location') ?? ''
  const [offset, length] = [Number(entries.get('offset') ?? 0), Number(entries.get('length') ?? expected)]
  // Backslashes and drive letters are absolute or upward paths on some systems; NUL ends a path on all.
  if (location === '' || /^\/|[\\:\0]|(^|\/)\.\.(\/|$)/.test(location)) {
    throw new InputError(
      `${where} is kept in ${JSON.stringify(location.slice(0, 200))}, which is no relative path inside the model's folder; it is not read`,
    )
  }
  if (!Number.isSafeInteger(offset) || offset < 0 || length !== expected) {
    throw new InputError(
      `${where} needs ${expected} bytes of '${location}' but claims ${length} from ${offset}; the file is damaged`,
    )
  }
  if (!read) {
    throw new InputError(
      `${where} is kept in another file, '${location}'; give the option externalData or save the model as one file`,
    )
  }
  return read(location, offset, length)
}

function dataOf(dtype: DType, bytes: Uint8Array): TensorData {
  if (dtype === 'bool') return Uint8Array.from(bytes, byte => (byte === 0 ? 0 : 1))
  return view(dtypes[dtype].array, bytes)
}

/** ONNX raw data is little-endian, as is every platform that the runtime supports. */
function view<T>(
  Kind: {
    new (buffer: ArrayBuffer, byteOffset: number, length: number): T
    readonly BYTES_PER_ELEMENT: number
  },
  bytes: Uint8Array,
): T {
  const aligned = bytes.byteOffset % Kind.BYTES_PER_ELEMENT === 0 ? bytes : Uint8Array.from(bytes)
  return new Kind(aligned.buffer as ArrayBuffer, aligned.byteOffset, bytes.length / Kind.BYTES_PER_ELEMENT)
}

function widened(bits: ArrayLike<number>, dataType: number): Float32Array {
  const float = new Float32Array(1)
  const word = new Uint32Array(float.buffer)
  const fromBfloat = (h: number) => {
    word[0] = h << 16
    return float[0]!
  }
  return Float32Array.from(bits, dataType === BFLOAT16 ? fromBfloat : fromHalf)
}

/** IEEE 754 binary16: one bit of sign, five of exponent, ten of fraction. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
