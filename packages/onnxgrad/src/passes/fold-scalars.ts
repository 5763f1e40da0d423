import type { Graph, Node, OpDefinition, Value } from '../graph/graph.js'
import { liveNodes, uses } from '../graph/live-nodes.js'
import { sizeOf } from '../graph/tensor.js'
import { int } from '../ops/define-op.js'
import { Mul } from '../ops/elementwise.js'
import { Transpose } from '../ops/layout.js'
import { Gemm } from '../ops/matrix-product.js'
import { Flatten, Reshape, Squeeze, Unsqueeze } from '../ops/reshaping.js'
import { rewrite } from './rewrite.js'

const layout: ReadonlySet<OpDefinition> = new Set([Reshape, Transpose, Squeeze, Unsqueeze, Flatten])

/**
 * Moves multiplications by a constant scalar into the matrix product that made the tensor, where the scalar is
 * free: `alpha` and `beta` of Gemm. Only layout may lie between, and no one else may read what is scaled.
 */
export function foldScalars(graph: Graph): Graph {
  const nodes = liveNodes(graph)
  const readers = uses(nodes, graph)
  const factors = new Map<Node, number>()
  const folded = new Map<Node, Value>()
  for (const node of nodes) {
    const scaled = scalarProduct(node)
    if (!scaled) continue
    let at: Node | null = scaled.value.producer
    let value = scaled.value
    // A multiplication that was folded itself is transparent: the chain goes on behind it.
    while (at && readers.get(value) === 1 && (layout.has(at.definition) || folded.has(at))) {
      value = folded.get(at) ?? at.inputs[0]!
      at = value.producer
    }
    if (at?.definition !== Gemm || readers.get(value) !== 1) continue
    factors.set(at, (factors.get(at) ?? 1) * scaled.factor)
    folded.set(node, scaled.value)
  }
  if (folded.size === 0) return graph
  return rewrite(graph, ({ node, inputs, apply }) => {
    if (folded.has(node)) return [inputs[node.inputs.indexOf(folded.get(node)!)]!]
    const factor = factors.get(node)
    if (factor === undefined) return undefined
    const { attributes } = node
    const scaled = (name: string) => int(attributes, name, 1) * factor
    return apply(Gemm, inputs, {
      ...attributes,
      alpha: scaled('alpha'),
      ...(inputs[2] && { beta: scaled('beta') }),
    })
  })
}

/** The tensor and the number, if the node multiplies the one by the other and keeps its shape. */
function scalarProduct({ definition, inputs }: Node): { value: Value; factor: number } | null {
  if (definition !== Mul) return null
  const constant = inputs.find(input => input!.data && sizeOf(input!.shape) === 1)
  const value = inputs.find(input => input !== constant)
  if (!constant || !value || value.data || constant.shape.length > value.shape.length) return null
  return { value, factor: Number(constant.data![0]) }
}
