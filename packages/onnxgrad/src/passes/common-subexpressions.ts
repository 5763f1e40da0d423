import type { Graph, OpDefinition, Value } from '../graph/graph.js'
import { rewrite } from './rewrite.js'

/** Computes once what was written twice: nodes of the same operator, inputs and attributes become one. */
export function shareCommonSubexpressions(graph: Graph): Graph {
  const known = new Map<string, readonly Value[]>()
  const ids = new Map<Value | OpDefinition, number>()
  const id = (one: Value | OpDefinition) => {
    if (!ids.has(one)) ids.set(one, ids.size)
    return ids.get(one)
  }
  return rewrite(graph, ({ node, inputs, apply }) => {
    const key = JSON.stringify([
      id(node.definition),
      inputs.map(input => (input ? id(input) : null)),
      Object.entries(node.attributes).sort(([a], [b]) => (a < b ? -1 : 1)),
    ])
    const outputs = known.get(key) ?? apply(node.definition, inputs, node.attributes)
    known.set(key, outputs)
    return outputs
  })
}
