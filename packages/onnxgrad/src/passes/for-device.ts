import type { Device } from '../device.js'
import type { Graph, Node } from '../graph/graph.js'
import { int } from '../ops/define-op.js'
import { mul } from '../ops/elementwise.js'
import { swapLast } from '../ops/layout.js'
import { FusedMatMul, matmul } from '../ops/matrix-product.js'
import { rewrite } from './rewrite.js'

/** Whose providers have no kernel for FusedMatMul (ONNX Runtime 1.30). */
const withoutFused: readonly Device[] = ['webgpu', 'coreml']

/**
 * The graph as a device runs it best. Where there is no kernel for FusedMatMul, a product of transposed and scaled
 * factors, the runtime would copy the factors to the processor and the product back: there it becomes transpositions,
 * a product and a multiplication.
 */
export function forDevice(graph: Graph, device: Device): Graph {
  if (!withoutFused.includes(device) || !graph.nodes.some(isFused)) return graph
  return rewrite(graph, ({ node, inputs: [a, b], within }) => {
    if (!isFused(node)) return undefined
    const { attributes } = node
    const factor = (value: typeof a, name: string) =>
      int(attributes, name, 0) === 1 ? swapLast(value!) : value!
    const alpha = int(attributes, 'alpha', 1)
    return within(() => {
      const product = matmul(factor(a, 'transA'), factor(b, 'transB'))
      return [alpha === 1 ? product : mul(product, alpha)]
    })
  })
}

/** By name: a node may have been made by another copy of this package, a plugin's. */
function isFused({ definition }: Node): boolean {
  return definition.name === FusedMatMul.name
}
