import type { DType } from '../graph/dtype.js'
import { GraphError, type Value } from '../graph/graph.js'
import type { Shape } from '../graph/tensor.js'
import { slice } from '../ops/layout.js'

/** A tensor fed at every step. */
export interface BatchInput {
  readonly dtype: DType
  readonly shape: Shape
  /** The axis along which examples lie. Default 0. */
  readonly axis?: number
}

/** Part i of n of every input, along its axis. Throws GraphError if it does not divide into n. */
export function microBatch(
  inputs: Readonly<Record<string, Value>>,
  specs: Readonly<Record<string, BatchInput>>,
  i: number,
  n: number,
): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => {
      const axis = specs[name]!.axis ?? 0
      const size = (value.shape[axis] ?? 0) / n
      if (!Number.isInteger(size) || size === 0) {
        throw new GraphError(
          `input '${name}' [${value.shape.join(', ')}] does not divide into ${n} micro-batches along axis ${axis}`,
        )
      }
      return [name, slice(value, [axis], [i * size], [(i + 1) * size])]
    }),
  )
}
