import type { Graph, Node } from './graph.js'
import { liveNodes } from './live-nodes.js'

/**
 * The nodes in the order in which ONNX Runtime carries them out one after the other: depth first from the nodes that
 * no other reads, the last of them first, and at each node its latest input first. What the runtime fuses comes at
 * about the place of its parts.
 */
export function runOrder(graph: Graph): Node[] {
  const nodes = liveNodes(graph)
  const index = new Map(nodes.map((node, i) => [node, i]))
  const read = new Set(nodes.flatMap(({ inputs }) => inputs.flatMap(input => input?.producer ?? [])))
  const seen = new Set<Node>()
  const order: Node[] = []
  const stack = nodes.filter(node => !read.has(node)).map(node => ({ node, leave: false }))
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { node, leave } = top
    if (leave) {
      order.push(node)
      continue
    }
    if (seen.has(node)) continue
    seen.add(node)
    stack.push({ node, leave: true })
    const before = new Set(node.inputs.flatMap(input => input?.producer ?? []))
    for (const one of [...before].sort((a, b) => index.get(a)! - index.get(b)!)) {
      if (!seen.has(one)) stack.push({ node: one, leave: false })
    }
  }
  return order
}
