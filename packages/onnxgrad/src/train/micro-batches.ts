import { type Graph, GraphError } from '../graph/graph.js'
import type { DType, Shape, Value } from '../graph/types.js'
import { where } from '../ops/elementwise.js'
import { concat, reshape, slice } from '../ops/layout.js'
import { argMax } from '../ops/selection.js'

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

/**
 * The same values, but made to wait for others. The order of nodes is the runtime's choice: without this it
 * begins the next micro-batch before the last one's activations can be freed.
 */
export function waitFor(
  graph: Graph,
  awaited: readonly Value[],
  values: Readonly<Record<string, Value>>,
): Record<string, Value> {
  const firsts = awaited.map(value => {
    const axes = value.shape.map((_, axis) => axis)
    const all = (index: number) => axes.map(() => index)
    return reshape(axes.length > 0 ? slice(value, axes, all(0), all(1)) : value, [1])
  })
  // Always true, whatever the values: an index is never negative. No optimizer of graphs can know it.
  const index = argMax(concat(firsts, 0), 0)
  const ready = graph.apply('GreaterOrEqual', [index, graph.constant('int64', [], [0])])[0]!
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, where(ready, value, value)]))
}
