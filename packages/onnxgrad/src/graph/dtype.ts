/** Element types of ONNX tensors that this package handles, by the names that the runtime has for them too. */
export type DType = 'float32' | 'float64' | 'int64' | 'int32' | 'uint8' | 'bool'

/** The array that holds a tensor of a given type in JavaScript. Booleans are bytes, 0 or 1. */
export type TensorData = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array

/** What makes such an array. */
interface ArrayKind {
  new (length: number): TensorData
  new (buffer: ArrayBuffer, byteOffset: number, length: number): TensorData
  /** Bytes of an element, in memory and in a file. */
  readonly BYTES_PER_ELEMENT: number
}

/** What is to be known of an element type. */
interface ElementType {
  readonly array: ArrayKind
  /** Its number in ONNX's TensorProto.DataType: in files, and as the attribute `to` of Cast. */
  readonly onnx: number
  readonly float: boolean
  /** The least and the largest value. */
  readonly range: readonly [number | bigint, number | bigint]
}

const unbounded = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const

/** Everything that differs between the element types. */
export const dtypes: Readonly<Record<DType, ElementType>> = {
  float32: { array: Float32Array, onnx: 1, float: true, range: unbounded },
  float64: { array: Float64Array, onnx: 11, float: true, range: unbounded },
  int64: { array: BigInt64Array, onnx: 7, float: false, range: [-(2n ** 63n), 2n ** 63n - 1n] },
  int32: { array: Int32Array, onnx: 6, float: false, range: [-(2 ** 31), 2 ** 31 - 1] },
  uint8: { array: Uint8Array, onnx: 2, float: false, range: [0, 255] },
  bool: { array: Uint8Array, onnx: 9, float: false, range: [0, 1] },
}

/** The element type with this number in ONNX, or undefined where this package has none. */
export function dtypeNumbered(onnx: number): DType | undefined {
  return names.find(dtype => dtypes[dtype].onnx === onnx)
}
const names = Object.keys(dtypes) as DType[]

export function isFloat(dtype: DType): boolean {
  return dtypes[dtype].float
}

/** A zero-filled array for `size` elements of `dtype`. */
export function allocate(dtype: DType, size: number): TensorData {
  return new dtypes[dtype].array(size)
}

/** An array of `dtype` from plain numbers. */
export function arrayOf(dtype: DType, values: ArrayLike<number | bigint>): TensorData {
  const out = allocate(dtype, values.length)
  for (let i = 0; i < values.length; i++) out[i] = dtype === 'int64' ? BigInt(values[i]!) : Number(values[i]!)
  return out
}
