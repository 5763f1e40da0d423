import type { Value } from '../graph/graph.js'
import { greaterOrEqual } from '../ops/comparison.js'
import { concat, slice } from '../ops/layout.js'
import { reshape } from '../ops/reshaping.js'
import { argMax } from '../ops/selection.js'
import { where } from '../ops/where.js'

/**
 * The same values, but made to wait for others: the order of nodes is the runtime's choice, and it begins what it
 * can before the memory of what went before is free.
 */
export function waitFor(awaited: readonly Value[], values: readonly Value[]): Value[] {
  const firsts = awaited.map(value => {
    const axes = value.shape.map((_, axis) => axis)
    const all = (index: number) => axes.map(() => index)
    return reshape(axes.length > 0 ? slice(value, axes, all(0), all(1)) : value, [1])
  })
  // Always true, whatever the values: an index is never negative. No optimizer of graphs can know it.
  const index = argMax(concat(firsts, 0), 0)
  const ready = greaterOrEqual(index, 0)
  return values.map(value => where(ready, value, value))
}
