import type { Value } from '../graph/graph.js'
import { add, sqrt } from '../ops/elementwise.js'
import { reduceSumSquare } from '../ops/reduction.js'

/**
 * Euclidean norm of all elements of all tensors taken together, a scalar.
 *
 * Each square is built just before it is added. The runtime computes first what was built last (see `runOrder`), so
 * the last tensor comes first: of gradients in the order of the model's parameters, the one that the backward pass
 * reaches first. The other way round, the whole backward pass would keep what all weight gradients are made of.
 */
export function globalNorm(tensors: readonly Value[]): Value {
  const square = (x: Value) =>
    reduceSumSquare(
      x,
      x.shape.map((_, axis) => axis),
    )
  const [first, ...rest] = tensors
  return sqrt(rest.reduce((sum, x) => add(sum, square(x)), square(first!)))
}
