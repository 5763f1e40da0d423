import type { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'
import { rewrite } from './rewrite.js'

/** Computes once what was written twice: nodes of the same operator, inputs and attributes become one. */
export function shareCommonSubexpressions(graph: Graph): Graph {
  const known = new Map<string, readonly Value[]>()
  const ids = new Map<Value, number>()
  const id = (value: Value) => {
    if (!ids.has(value)) ids.set(value, ids.size)
    return ids.get(value)
  }
  return rewrite(graph, ({ node, inputs, apply }) => {
    const key = JSON.stringify([
      node.op,
      inputs.map(input => (input ? id(input) : null)),
      Object.entries(node.attributes).sort(([a], [b]) => (a < b ? -1 : 1)),
    ])
    const outputs = known.get(key) ?? apply(node.op, inputs, node.attributes)
    known.set(key, outputs)
    return outputs
  })
}
