import { sizeOf } from 'onnxgrad'

/** Tensors of one shape, float32, one an image of a data set, in memory or elsewhere: read in pieces. */
export interface TensorSource {
  readonly count: number
  /** Of one tensor. */
  readonly shape: readonly number[]
  /**
   * Writes the tensors at `indices` to `out`, one after another. Several reads may be under way at the same time, each
   * with an `out` of its own.
   */
  read(indices: ArrayLike<number>, out: Float32Array): Promise<void>
}

/**
 * Tensors that are in memory, one after another.
 * @throws RangeError if the values are no whole number of tensors.
 */
export function tensorsInMemory(shape: readonly number[], values: Float32Array): TensorSource {
  const size = sizeOf(shape)
  const count = values.length / size
  if (!Number.isInteger(count))
    throw new RangeError(`${values.length} values are no whole number of tensors [${shape.join(', ')}]`)
  return {
    count,
    shape,
    async read(indices, out) {
      for (let i = 0; i < indices.length; i++) {
        const index = indices[i]!
        out.set(values.subarray(index * size, (index + 1) * size), i * size)
      }
    },
  }
}
