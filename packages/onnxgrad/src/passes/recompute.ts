import type { Graph } from '../graph/graph.js'
import { liveNodes } from '../graph/live-nodes.js'
import { isFloat, type Node, type Value } from '../graph/types.js'
import { add, mul } from '../ops/elementwise.js'
import { slice } from '../ops/layout.js'
import { reshape } from '../ops/reshaping.js'
import { rewrite } from './rewrite.js'

/**
 * Trades time for memory (Chen et al. 2016, arXiv 1604.06174): what a forward block computed is not kept for the
 * backward pass but computed again there, from the block's inputs, when the backward pass gets to it.
 *
 * @param graph forward pass, and its gradients under the scope `backward`.
 * @param scopes the blocks, by the scope in which their nodes were built; every block is recomputed as a whole.
 */
export function recompute(graph: Graph, scopes: readonly string[]): Graph {
  const blocks = new Map(scopes.map(scope => [scope, [] as Node[]]))
  const blockOf = new Map<Value, string>()
  for (const node of liveNodes(graph)) {
    const scope = scopes.find(name => node.name.startsWith(`${name}/`))
    if (scope === undefined) continue
    blocks.get(scope)!.push(node)
    for (const output of node.outputs) blockOf.set(output, scope)
  }
  const again = new Map<string, Map<Value, Value>>()
  // What the backward pass computed last: a block is computed again only once the pass has come so far.
  let last: Value | undefined
  return rewrite(graph, ({ node, inputs, apply, translate }) => {
    if (!node.name.startsWith('backward/')) return undefined
    const operands = node.inputs.map((input, i) => {
      const scope = input && blockOf.get(input)
      if (!scope || !last) return inputs[i]!
      let copies = again.get(scope)
      if (!copies) {
        copies = repeat(blocks.get(scope)!, translate, last, scope)
        again.set(scope, copies)
      }
      return copies.get(input)!
    })
    const outputs = apply(node.op, operands, node.attributes)
    if (isFloat(outputs[0]!.dtype)) last = outputs[0]
    return outputs
  })
}

/**
 * Builds a block's nodes once more. Their inputs wait for `arrived`, a value of the backward pass, by adding
 * zero times an element of it: else the runtime would see that it had computed the same before, and keep that instead.
 */
function repeat(
  nodes: readonly Node[],
  translate: (value: Value) => Value,
  arrived: Value,
  scope: string,
): Map<Value, Value> {
  const { graph } = arrived
  const copies = new Map<Value, Value>()
  const inside = new Set(nodes.flatMap(node => node.outputs))
  graph.within(`recomputed/${scope}`, () => {
    const first = slice(
      arrived,
      arrived.shape.map((_, axis) => axis),
      arrived.shape.map(() => 0),
      arrived.shape.map(() => 1),
    )
    const zero = mul(reshape(first, []), 0)
    const delayed = (value: Value): Value => {
      const known = copies.get(value)
      if (known) return known
      const now = translate(value)
      if (inside.has(value) || !value.producer || !isFloat(value.dtype)) return now
      const late = add(now, zero)
      copies.set(value, late)
      return late
    }
    for (const node of nodes) {
      const operands = node.inputs.map(input => input && delayed(input))
      const outputs = graph.apply(node.op, operands, node.attributes)
      node.outputs.forEach((output, i) => {
        copies.set(output, outputs[i]!)
      })
    }
  })
  return copies
}
