import type { Value } from '../graph/types.js'
import { add, sqrt } from '../ops/elementwise.js'
import { reduceSumSquare } from '../ops/reduction.js'

/** Euclidean norm of all elements of all tensors taken together, a scalar. */
export function globalNorm(tensors: readonly Value[]): Value {
  const squares = tensors.map(x =>
    reduceSumSquare(
      x,
      x.shape.map((_, axis) => axis),
    ),
  )
  return sqrt(squares.reduce(add))
}
