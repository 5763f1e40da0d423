import type { Device } from '../device.js'
import type { Graph, Node, Value } from '../graph/graph.js'
import { axisOf } from '../graph/shape.js'
import { sizeOf } from '../graph/tensor.js'
import { int } from '../ops/define-op.js'
import { mul } from '../ops/elementwise.js'
import { Split, slice, swapLast } from '../ops/layout.js'
import { FusedMatMul, matmul } from '../ops/matrix-product.js'
import { poolingScatteredBy, routeByComparison } from '../ops/max-pool-gradient.js'
import { reshape } from '../ops/reshaping.js'
import { type Rewriting, rewrite } from './rewrite.js'

/** Whose providers have no kernel for FusedMatMul (ONNX Runtime 1.30). */
const withoutFused: readonly Device[] = ['webgpu', 'coreml']
/** Whose MaxPool fails where its indices are wanted (ONNX Runtime 1.30). */
const withoutIndices: readonly Device[] = ['webgpu']

/** Whose kernels take no more buffers than the least that WebGPU promises: a Split has one, and one for each part. */
const withFewBuffers: readonly Device[] = ['webgpu']
const MOST_PARTS = 7

type Rule = (at: Rewriting) => readonly Value[] | undefined

/**
 * The graph as a device runs it best. Where there is no kernel for FusedMatMul, a product of transposed and scaled
 * factors, the runtime would copy the factors to the processor and the product back: there it becomes transpositions,
 * a product and a multiplication. Where MaxPool delivers no indices, its gradient does without them. Where a Split has
 * more parts than a kernel may write, they are sliced.
 */
export function forDevice(graph: Graph, device: Device): Graph {
  const rules: Rule[] = []
  if (withoutFused.includes(device) && graph.nodes.some(isFused)) rules.push(writtenOut)
  if (withoutIndices.includes(device) && graph.nodes.some(poolingScatteredBy)) rules.push(compared)
  if (withFewBuffers.includes(device) && graph.nodes.some(isWideSplit)) rules.push(sliced)
  if (rules.length === 0) return graph
  return rewrite(graph, at => {
    for (const rule of rules) {
      const outputs = rule(at)
      if (outputs) return outputs
    }
    return undefined
  })
}

/** By name: a node may have been made by another copy of this package, a plugin's. */
function isFused({ definition }: Node): boolean {
  return definition.name === FusedMatMul.name
}

function isWideSplit({ definition, outputs }: Node): boolean {
  return definition.name === Split.name && outputs.length > MOST_PARTS
}

function writtenOut({ node, inputs: [a, b], within }: Rewriting): Value[] | undefined {
  if (!isFused(node)) return undefined
  const { attributes } = node
  const factor = (value: typeof a, name: string) =>
    int(attributes, name, 0) === 1 ? swapLast(value!) : value!
  const alpha = int(attributes, 'alpha', 1)
  return within(() => {
    const product = matmul(factor(a, 'transA'), factor(b, 'transB'))
    return [alpha === 1 ? product : mul(product, alpha)]
  })
}

function compared({ node, inputs, within, translate }: Rewriting): Value[] | undefined {
  const pooling = poolingScatteredBy(node)
  if (!pooling) return undefined
  const [x, y] = [translate(pooling.inputs[0]!), translate(pooling.outputs[0]!)]
  return within(() => {
    const gradient = routeByComparison(x, y, reshape(inputs[2]!, y.shape), pooling)
    return [reshape(gradient, [sizeOf(x.shape)])]
  })
}

function sliced({ node, inputs: [x], within }: Rewriting): Value[] | undefined {
  if (!isWideSplit(node)) return undefined
  const axis = axisOf(int(node.attributes, 'axis', 0), x!.shape.length)
  let end = 0
  return within(() =>
    node.outputs.map(({ shape }) => {
      const start = end
      end += shape[axis]!
      return slice(x!, [axis], [start], [end])
    }),
  )
}
