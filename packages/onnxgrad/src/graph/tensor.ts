import { type DType, dtypes, type TensorData } from './dtype.js'

/** Static shape: every dimension is known while the graph is built. A scalar has shape []. */
export type Shape = readonly number[]

/** What is known of a tensor before it is computed. */
export interface TensorType {
  readonly dtype: DType
  readonly shape: Shape
}

/** A tensor outside a graph. Booleans are bytes, 0 or 1. */
export interface Tensor extends TensorType {
  readonly data: TensorData
}

/** Tensors by the names of a graph's inputs. */
export type Feeds = Readonly<Record<string, Tensor>>

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let size = 1
  for (const dim of shape) size *= dim
  return size
}

/** Bytes of a tensor's elements. */
export function bytesOf({ dtype, shape }: TensorType): number {
  return dtypes[dtype].array.BYTES_PER_ELEMENT * sizeOf(shape)
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
