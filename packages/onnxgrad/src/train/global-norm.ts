import type { Value } from '../graph/types.js'
import { add, mul, sqrt } from '../ops/elementwise.js'
import { reduceSum } from '../ops/reduction.js'

/** Euclidean norm of all elements of all tensors taken together, a scalar. */
export function globalNorm(tensors: readonly Value[]): Value {
  const squares = tensors.map(x =>
    reduceSum(
      mul(x, x),
      x.shape.map((_, axis) => axis),
    ),
  )
  return sqrt(squares.reduce(add))
}
