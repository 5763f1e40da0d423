import { type Graph, GraphError, type Node, type Value } from '../graph/graph.js'
import { liveNodes } from '../graph/live-nodes.js'
import type { Shape } from '../graph/tensor.js'

/** A length: a number, or a multiple of the batch. */
export type Length = number | { readonly batches: number }

/** Where the size of the batch shows in a graph. */
export interface FreeBatch {
  /** The input that has the batch as an axis, and which. */
  readonly input: Value
  readonly axis: number
  /** Constants of the graph in which the batch is an element. */
  readonly constants: ReadonlyMap<Value, readonly Length[]>
  /** The shape of an input or output. */
  shape(value: Value): readonly Length[]
}

/**
 * Compares two graphs that are alike but for the size of their batch: what differs is a multiple of it.
 * @throws GraphError if they differ in anything else, naming it.
 */
export function compareBatches(graph: Graph, other: Graph): FreeBatch {
  const twins = new Map<Value, Value>()
  const pair = (a: Value | null, b: Value | null, where: string) => {
    if (!a !== !b) throw new GraphError(`${where}: the graphs differ in more than the batch`)
    if (!a || !b) return
    const known = twins.get(a)
    // Such as a constant that is the batch in one place and another length elsewhere.
    if (known && known !== b && !(a.data && sameData(known, b)))
      throw new GraphError(`${where}: one value here is two in the other graph`)
    twins.set(a, b)
  }
  graph.inputs.forEach((input, i) => {
    pair(input, other.inputs[i] ?? null, `input '${input.name}'`)
  })
  const [nodes, others] = [liveNodes(graph), liveNodes(other)]
  nodes.forEach((node, i) => {
    const twin = others[i]
    if (!twin || !sameOperation(node, twin))
      throw new GraphError(`node '${node.name}': the graphs differ in more than the batch`)
    node.inputs.forEach((input, at) => {
      pair(input, twin.inputs[at] ?? null, `node '${node.name}'`)
    })
    node.outputs.forEach((output, at) => {
      pair(output, twin.outputs[at] ?? null, `node '${node.name}'`)
    })
  })
  if (others.length !== nodes.length) throw new GraphError('the graphs differ in more than the batch')
  for (const [name, value] of graph.outputs) pair(value, other.outputs.get(name) ?? null, `output '${name}'`)
  const { input, axis, batch, otherBatch } = batchAxis(graph, twins)
  const lengths = (a: Shape, b: Shape, what: string): Length[] =>
    a.map((length, i) => {
      if (length === b[i]) return length
      const batches = length / batch
      if (!Number.isInteger(batches) || b[i] !== batches * otherBatch)
        throw new GraphError(`${what}: ${length} and ${b[i]} are no multiples of the batch`)
      return { batches }
    })
  const constants = new Map<Value, readonly Length[]>()
  for (const [a, b] of twins) {
    if (!a.data || sameData(a, b)) continue
    if (a.dtype !== 'int64' || a.shape.length !== 1 || a.data.length !== b.data?.length)
      throw new GraphError(`constant '${a.name}' depends on the batch, and is no shape`)
    constants.set(a, lengths(Array.from(a.data, Number), Array.from(b.data, Number), `constant '${a.name}'`))
  }
  return {
    input,
    axis,
    constants,
    shape: value => lengths(value.shape, (twins.get(value) ?? value).shape, `'${value.name}'`),
  }
}

function batchAxis({ inputs }: Graph, twins: ReadonlyMap<Value, Value>) {
  for (const input of inputs) {
    const other = twins.get(input)!.shape
    const axis = input.shape.findIndex((length, i) => length !== other[i])
    if (axis >= 0) return { input, axis, batch: input.shape[axis]!, otherBatch: other[axis]! }
  }
  throw new GraphError('no input has another shape in the other graph: the batch is in none')
}

const sameOperation = (a: Node, b: Node) =>
  a.definition === b.definition &&
  a.inputs.length === b.inputs.length &&
  JSON.stringify(a.attributes) === JSON.stringify(b.attributes)

function sameData(a: Value, b: Value): boolean {
  if (a.data === b.data) return true
  if (!a.data || !b.data || a.data.length !== b.data.length) return false
  const values = b.data
  return (a.data as Float32Array).every((value, i) => Object.is(value, values[i]))
}
