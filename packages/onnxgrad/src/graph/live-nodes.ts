import type { Graph, Node, Value } from './graph.js'

/** The nodes that an output depends on, in order. */
export function liveNodes(graph: Graph): Node[] {
  const needed = new Set<Value>(graph.outputs.values())
  const nodes: Node[] = []
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some(output => needed.has(output))) continue
    nodes.push(node)
    for (const input of node.inputs) if (input) needed.add(input)
  }
  return nodes.reverse()
}

/** How often each value is read, by nodes and as an output of the graph. */
export function uses(nodes: readonly Node[], graph: Graph): Map<Value, number> {
  const count = new Map<Value, number>()
  const read = (value: Value) => count.set(value, (count.get(value) ?? 0) + 1)
  for (const node of nodes) for (const input of node.inputs) if (input) read(input)
  for (const value of graph.outputs.values()) read(value)
  return count
}
