import type { Device } from '../device.js'
import type { Graph, Node, Value } from '../graph/graph.js'
import { sizeOf } from '../graph/tensor.js'
import { int } from '../ops/define-op.js'
import { mul } from '../ops/elementwise.js'
import { swapLast } from '../ops/layout.js'
import { FusedMatMul, matmul } from '../ops/matrix-product.js'
import { poolingScatteredBy, routeByComparison } from '../ops/max-pool-gradient.js'
import { reshape } from '../ops/reshaping.js'
import { type Rewriting, rewrite } from './rewrite.js'

/** Whose providers have no kernel for FusedMatMul (ONNX Runtime 1.30). */
const withoutFused: readonly Device[] = ['webgpu', 'coreml']
/** Whose MaxPool fails where its indices are wanted (ONNX Runtime 1.30). */
const withoutIndices: readonly Device[] = ['webgpu']

/**
 * The graph as a device runs it best. Where there is no kernel for FusedMatMul, a product of transposed and scaled
 * factors, the runtime would copy the factors to the processor and the product back: there it becomes transpositions,
 * a product and a multiplication. Where MaxPool delivers no indices, its gradient does without them.
 */
export function forDevice(graph: Graph, device: Device): Graph {
  const fused = withoutFused.includes(device) && graph.nodes.some(isFused)
  const scattered = withoutIndices.includes(device) && graph.nodes.some(node => poolingScatteredBy(node))
  if (!fused && !scattered) return graph
  return rewrite(graph, at => {
    if (fused && isFused(at.node)) return writtenOut(at)
    const pooling = scattered && poolingScatteredBy(at.node)
    return pooling ? compared(at, pooling) : undefined
  })
}

/** By name: a node may have been made by another copy of this package, a plugin's. */
function isFused({ definition }: Node): boolean {
  return definition.name === FusedMatMul.name
}

function writtenOut({ node: { attributes }, inputs: [a, b], within }: Rewriting): Value[] {
  const factor = (value: typeof a, name: string) =>
    int(attributes, name, 0) === 1 ? swapLast(value!) : value!
  const alpha = int(attributes, 'alpha', 1)
  return within(() => {
    const product = matmul(factor(a, 'transA'), factor(b, 'transB'))
    return [alpha === 1 ? product : mul(product, alpha)]
  })
}

function compared({ inputs, within, translate }: Rewriting, pooling: Node): Value[] {
  const [x, y] = [translate(pooling.inputs[0]!), translate(pooling.outputs[0]!)]
  return within(() => {
    const gradient = routeByComparison(x, y, reshape(inputs[2]!, y.shape), pooling)
    return [reshape(gradient, [sizeOf(x.shape)])]
  })
}
