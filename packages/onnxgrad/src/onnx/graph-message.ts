import { type DType, dtypes } from '../graph/dtype.js'
import type { Attribute, AttributeKind, Graph, Node, Value } from '../graph/graph.js'
import { liveNodes } from '../graph/live-nodes.js'
import type { Length } from './free-batch.js'
import { attributeTypes, graphType } from './schema.js'

/** Gelu came later than the opset that is written; the runtime has long had it in its own domain, with the same definition. */
const domains: Record<string, string> = { Gelu: 'com.microsoft' }

/** What a graph's inputs and outputs are called in a file, by their names in the graph. */
export interface PublicNames {
  input(name: string): string
  /** null: it is not delivered. */
  output(name: string): string | null
}
const unchanged: PublicNames = { input: name => name, output: name => name }

/** What of a graph's message does not depend on how it is embedded. What no output depends on is left out. */
export interface Contents {
  readonly nodes: readonly object[]
  /** Those that are read. */
  readonly constants: readonly Value[]
  /** What a value is called in the file. */
  nameOf(value: Value): string
}

export function contentsOf(graph: Graph, names: PublicNames = unchanged): Contents {
  const nodes = liveNodes(graph)
  const read = new Set<Value>(graph.outputs.values())
  for (const { inputs } of nodes.toReversed()) for (const input of inputs) if (input) read.add(input)
  const inputs = new Map(graph.inputs.map(input => [input, names.input(input.name)]))
  const delivered = new Map<Value, string>()
  const nameOf = (value: Value) => delivered.get(value) ?? inputs.get(value) ?? value.name
  const aliases: object[] = []
  for (const [given, value] of graph.outputs) {
    const name = names.output(given)
    if (name === null) continue
    // An output takes its public name unless its value has one already: then a copy is delivered.
    if (!delivered.has(value) && (value.producer || nameOf(value) === name)) delivered.set(value, name)
    else aliases.push(plainNode('Identity', `deliver_${given}`, [nameOf(value)], [name]))
  }
  return {
    nodes: [...nodes.map(node => nodeMessage(node, nameOf, read)), ...aliases],
    constants: [...read].filter(value => value.data !== null),
    nameOf,
  }
}

/** A node without a definition: what a file needs besides the graph's own. */
export function plainNode(
  opType: string,
  name: string,
  input: readonly string[],
  output: readonly string[],
  attribute: readonly object[] = [],
): object {
  return { name, opType, input, output, attribute }
}

function nodeMessage(node: Node, nameOf: (value: Value) => string, read: ReadonlySet<Value>): object {
  const { name: op, attributes: kinds, requiredOutputs = node.outputs.length } = node.definition
  const required = typeof requiredOutputs === 'number' ? requiredOutputs : requiredOutputs(node.attributes)
  const lastRead = node.outputs.findLastIndex((output, i) => i < required || read.has(output))
  const [domain, opType] = op.includes(':') ? op.split(':') : [domains[op] ?? '', op]
  return {
    name: node.name,
    opType,
    domain,
    input: node.inputs.map(value => (value ? nameOf(value) : '')),
    output: node.outputs.slice(0, lastRead + 1).map(nameOf),
    attribute: Object.entries(node.attributes).map(([name, value]) =>
      attributeMessage(name, kinds[name]!, value),
    ),
  }
}

export function attributeMessage(name: string, kind: AttributeKind, value: Attribute): object {
  const type = attributeTypes[kind]
  switch (kind) {
    case 'float':
      return { name, type, f: value }
    case 'int':
      return { name, type, i: value }
    case 'ints':
      return { name, type, ints: value }
    case 'string':
      return { name, type, s: new TextEncoder().encode(String(value)) }
  }
}

/** An attribute that is itself a graph. */
export function subgraphMessage(name: string, graph: object): object {
  return { name, type: attributeTypes.graph, g: graphType.encode(graphType.fromObject(graph)).finish() }
}

/** A tensor with its data. */
export function tensorMessage(value: Pick<Value, 'name' | 'dtype' | 'shape' | 'data'>): object {
  const data = value.data!
  return {
    name: value.name,
    dims: [...value.shape],
    dataType: dtypes[value.dtype].onnx,
    // ONNX raw data is little-endian, as is every platform that the runtime supports.
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }
}

/** The type of an input or output. @param shape lengths; a text is the name of a free dimension. */
export function typeMessage(name: string, dtype: DType, shape: readonly (Length | string)[]): object {
  const dim = shape.map(length => {
    if (typeof length === 'number') return { dimValue: length }
    if (typeof length === 'string') return { dimParam: length }
    return { dimParam: length.batches === 1 ? 'batch' : `${length.batches} * batch` }
  })
  return { name, type: { tensorType: { elemType: dtypes[dtype].onnx, shape: { dim } } } }
}
