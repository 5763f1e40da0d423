import type { Graph } from './graph.js'

/** Element types of ONNX tensors that this package handles. */
export type DType = 'float32' | 'float64' | 'int64' | 'int32' | 'uint8' | 'bool'

/** The array that holds a tensor of a given type in JavaScript. Booleans are bytes, 0 or 1. */
export type TensorData = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array

/** Static shape: every dimension is known while the graph is built. A scalar has shape []. */
export type Shape = readonly number[]

/** An ONNX attribute. Whether a number is written as INT or FLOAT is said by the operator's declaration. */
export type Attribute = number | string | readonly number[]
export type Attributes = Readonly<Record<string, Attribute>>

/** What is known of a tensor before it is computed. */
export interface TensorType {
  readonly dtype: DType
  readonly shape: Shape
}

/** A tensor in a graph: an input, a constant, or an output of a node. */
export interface Value extends TensorType {
  readonly graph: Graph
  readonly name: string
  /** The node that computes it; null for inputs and constants. */
  readonly producer: Node | null
  /** The data of a constant; null otherwise. */
  readonly data: TensorData | null
}

/** One application of an operator. */
export interface Node {
  readonly name: string
  /** The ONNX operator name, verbatim; other domains are prefixed: `com.microsoft:FusedMatMul`. */
  readonly op: string
  /** null where an optional input is left out. */
  readonly inputs: readonly (Value | null)[]
  readonly attributes: Attributes
  readonly outputs: readonly Value[]
}

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let size = 1
  for (const dim of shape) size *= dim
  return size
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i])
}

export function showType(type: {
  readonly dtype: DType
  readonly shape: readonly (number | string)[]
}): string {
  return `${type.dtype}[${type.shape.join(', ')}]`
}

/** A zero-filled array for `size` elements of `dtype`. */
export function allocate(dtype: DType, size: number): TensorData {
  switch (dtype) {
    case 'float32':
      return new Float32Array(size)
    case 'float64':
      return new Float64Array(size)
    case 'int64':
      return new BigInt64Array(size)
    case 'int32':
      return new Int32Array(size)
    case 'uint8':
    case 'bool':
      return new Uint8Array(size)
  }
}

/** An array of `dtype` from plain numbers. */
export function arrayOf(dtype: DType, values: ArrayLike<number | bigint>): TensorData {
  const out = allocate(dtype, values.length)
  for (let i = 0; i < values.length; i++) out[i] = dtype === 'int64' ? BigInt(values[i]!) : Number(values[i]!)
  return out
}

export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float64'
}
