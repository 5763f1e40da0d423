import { isFloat } from '../graph/dtype.js'
import type { Graph, Node, Value } from '../graph/graph.js'
import { liveNodes } from '../graph/live-nodes.js'
import { rewrite } from './rewrite.js'
import { waitFor } from './wait-for.js'

/**
 * Trades time for memory (Chen et al. 2016, arXiv 1604.06174): what a forward block computed is not kept for the
 * backward pass but computed again there, from the block's inputs, when the backward pass gets to it.
 *
 * @param graph forward pass, and its gradients under the scope `backward`.
 * @param scopes the blocks, by the scope in which their nodes were built; every block is recomputed as a whole.
 */
export function recompute(graph: Graph, scopes: readonly string[]): Graph {
  const blocks = new Map<string, Node[]>()
  const blockOf = new Map<Value, string>()
  for (const node of liveNodes(graph)) {
    const path = node.name.split('/')
    const depth = path.findIndex(part => scopes.includes(part))
    if (depth < 0 || path.includes('backward')) continue
    // With its outer scopes: every micro-batch has blocks of its own.
    const block = path.slice(0, depth + 1).join('/')
    blocks.set(block, [...(blocks.get(block) ?? []), node])
    for (const output of node.outputs) blockOf.set(output, block)
  }
  const again = new Map<string, Map<Value, Value>>()
  // What the backward pass computed last: a block is computed again only once the pass has come so far.
  let last: Value | undefined
  return rewrite(graph, ({ node, inputs, apply, translate }) => {
    if (!node.name.split('/').includes('backward')) return undefined
    const operands = node.inputs.map((input, i) => {
      const block = input && blockOf.get(input)
      if (!block || !last) return inputs[i]!
      let copies = again.get(block)
      if (!copies) {
        copies = last.graph.within(`recomputed/${block}`, () => repeat(blocks.get(block)!, translate, last!))
        again.set(block, copies)
      }
      return copies.get(input)!
    })
    const outputs = apply(node.definition, operands, node.attributes)
    if (isFloat(outputs[0]!.dtype)) last = outputs[0]
    return outputs
  })
}

/**
 * Builds a block's nodes once more. What flows into the block waits for `arrived`, a value of the backward pass:
 * else the runtime would see that it had computed the same before, and keep that instead.
 */
function repeat(
  nodes: readonly Node[],
  translate: (value: Value) => Value,
  arrived: Value,
): Map<Value, Value> {
  const copies = new Map<Value, Value>()
  const inside = new Set(nodes.flatMap(node => node.outputs))
  const flowsIn = new Set(
    nodes.flatMap(node => node.inputs).filter(input => input?.producer && !inside.has(input)),
  )
  const values = [...flowsIn] as Value[]
  waitFor([arrived], values.map(translate)).forEach((late, i) => {
    copies.set(values[i]!, late)
  })
  for (const node of nodes) {
    const operands = node.inputs.map(input => input && (copies.get(input) ?? translate(input)))
    const outputs = arrived.graph.apply(node.definition, operands, node.attributes)
    node.outputs.forEach((output, i) => {
      copies.set(output, outputs[i]!)
    })
  }
  return copies
}
