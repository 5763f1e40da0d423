import type { Graph, Node } from '../graph/graph.js'
import { sizeOf } from '../graph/tensor.js'
import { Conv, ConvTranspose } from './convolution.js'
import { FusedMatMul, Gemm, MatMul } from './matrix-product.js'

/**
 * Floating-point operations of one run that are spent in matrix products and convolutions, two a multiply-add.
 * Element-wise work is left out: it is what the share of the matrix throughput is meant to show.
 */
export function matrixOperations(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => sum + operationsOf(node), 0)
}

function operationsOf({ definition, inputs, attributes, outputs }: Node): number {
  const size = sizeOf(outputs[0]!.shape)
  switch (definition) {
    case MatMul:
      return 2 * size * inputs[0]!.shape.at(-1)!
    case FusedMatMul:
      return 2 * size * inputs[0]!.shape.at(attributes.transA === 1 ? -2 : -1)!
    case Gemm:
      return 2 * size * inputs[0]!.shape[attributes.transA === 1 ? 0 : 1]!
    case Conv:
      return 2 * size * sizeOf(inputs[1]!.shape.slice(1))
    case ConvTranspose:
      return 2 * sizeOf(inputs[0]!.shape) * sizeOf(inputs[1]!.shape.slice(1))
    default:
      return 0
  }
}
