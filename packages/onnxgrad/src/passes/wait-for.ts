import type { Value } from '../graph/graph.js'
import { greaterOrEqual } from '../ops/comparison.js'
import { gatherND } from '../ops/indexing.js'
import { concat } from '../ops/layout.js'
import { reshape } from '../ops/reshaping.js'
import { argMax } from '../ops/selection.js'
import { where } from '../ops/where.js'

/**
 * The same values, but made to wait for others: the order of nodes is the runtime's choice, and it begins what it
 * can before the memory of what went before is free.
 */
export function waitFor(awaited: readonly Value[], values: readonly Value[]): Value[] {
  const firsts = awaited.map(value => {
    const rank = value.shape.length
    if (rank === 0) return reshape(value, [1])
    return gatherND(value, value.graph.constant('int64', [1, rank], new Array(rank).fill(0)))
  })
  // Always true, whatever the values: an index is never negative. No optimizer of graphs can know it.
  const index = argMax(concat(firsts, 0), 0)
  const ready = greaterOrEqual(index, 0)
  return values.map(value => where(ready, value, value))
}
