import type { Graph, Node, Value } from '../graph/graph.js'
import { uses } from '../graph/live-nodes.js'
import { runOrder } from '../graph/run-order.js'
import { bytesOf } from '../graph/tensor.js'

/** What only looks at its input in another way. */
const views = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity'])
/** What the runtime writes over an input of the same size that nobody reads any more. */
const inPlace = new Set(
  'Add Sub Mul Div Sqrt Neg Exp Log Reciprocal Relu Sigmoid Tanh Clip Softmax Erf Abs'.split(' '),
)

/**
 * The most that the values of a graph take at one time of a run, in bytes, if ONNX Runtime carries out one node after
 * the other: what is computed is there from then on until its last reader is done, and outputs to the end. Inputs and
 * constants are not counted, nor what operators take for themselves or the allocator keeps.
 */
export function peakOfValues(graph: Graph): number {
  const order = runOrder(graph)
  const readers = uses(order, graph)
  /** Memory that several values share: its size, and how many readers it still has. */
  interface Buffer {
    readonly bytes: number
    left: number
  }
  const buffers = new Map<Value, Buffer>()
  const of = (value: Value | null) => (value ? buffers.get(value) : undefined)
  let [live, peak] = [0, 0]
  const bufferFor = (node: Node, output: Value): Buffer | undefined => {
    const [source] = node.inputs
    if (views.has(node.definition.name) && source) return of(source)
    if (inPlace.has(node.definition.name)) {
      for (const input of node.inputs) {
        const buffer = of(input)
        const reads = node.inputs.filter(other => of(other) === buffer).length
        if (buffer && buffer.left === reads && buffer.bytes === bytesOf(output)) return buffer
      }
    }
    live += bytesOf(output)
    return { bytes: bytesOf(output), left: 0 }
  }
  for (const node of order) {
    for (const output of node.outputs) {
      const buffer = bufferFor(node, output)
      // A view of an input or a constant is not counted, as they are not.
      if (!buffer) continue
      buffer.left += readers.get(output) ?? 0
      buffers.set(output, buffer)
    }
    peak = Math.max(peak, live)
    const touched = new Set([...node.inputs, ...node.outputs].flatMap(value => of(value) ?? []))
    for (const input of node.inputs) {
      const buffer = of(input)
      if (buffer) buffer.left--
    }
    for (const buffer of touched) if (buffer.left === 0) live -= buffer.bytes
  }
  return peak
}
