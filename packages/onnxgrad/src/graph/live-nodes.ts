import type { Graph, Node, Value } from './graph.js'

/**
 * The nodes that an output depends on, in order.
 * @param instead what is read in place of some values. Default: nothing.
 */
export function liveNodes(graph: Graph, instead: ReadonlyMap<Value, Value> = new Map()): Node[] {
  const read = (value: Value) => instead.get(value) ?? value
  const needed = new Set<Value>([...graph.outputs.values()].map(read))
  const nodes: Node[] = []
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some(output => needed.has(output))) continue
    nodes.push(node)
    for (const input of node.inputs) if (input) needed.add(read(input))
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
