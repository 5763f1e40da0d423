import type { Graph, OpCase, OpDefinition, Value } from '../graph/graph.js'
import { sizeOf } from '../graph/tensor.js'

/** A deterministic point in the case's range: a low-discrepancy sequence, or well-separated steps in mixed order. */
export function pointOf(test: OpCase): number[][] {
  const [low, high] = test.range ?? [-1, 1]
  let n = 0
  return test.inputs.map(shape =>
    Array.from({ length: sizeOf(shape) }, () => {
      n++
      return test.distinct ? (((n * 7) % 23) - 11) / 10 + 0.05 : low + (high - low) * ((n * Math.SQRT2) % 1)
    }),
  )
}

/** Builds the application of an operator that the case describes. */
export function applyCase(
  definition: OpDefinition,
  test: OpCase,
  graph: Graph,
  inputs: readonly Value[],
): Value {
  return test.build ? test.build(graph, inputs) : graph.apply(definition, inputs, test.attributes)[0]!
}
