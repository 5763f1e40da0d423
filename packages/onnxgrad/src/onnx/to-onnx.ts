import { type DType, dtypes } from '../graph/dtype.js'
import type { Attribute, AttributeKind, Graph, Node, Value } from '../graph/graph.js'
import { liveNodes } from '../graph/live-nodes.js'
import { verify } from '../graph/verify.js'
import { compareBatches, type FreeBatch, type Length } from './free-batch.js'
import { attributeTypes, modelType } from './schema.js'

/** Opset written: the last one in which the reductions take their axes as an attribute, and with LayerNormalization. */
const OPSET = 17
/** Gelu came later than that; the runtime has long had it in its own domain, with the same definition. */
const domains: Record<string, string> = { Gelu: 'com.microsoft' }

export interface OnnxOptions {
  /** Graph name. Default 'onnxgrad'. */
  readonly name?: string
  /** A human's description of the file. */
  readonly doc?: string
  /** Written to the model's metadata properties. */
  readonly metadata?: Readonly<Record<string, string>>
  /**
   * The same graph for another size of the batch: where the two differ, the file leaves it free, as a dimension of the
   * name `batch`. Take large primes as sizes, so that no other length is a multiple of them by accident.
   */
  readonly otherBatch?: Graph
}

/**
 * The graph as an ONNX model file. What no output depends on is left out. The same graph gives the same bytes.
 * Throws GraphError if the graph does not verify, or differs from `otherBatch` in more than the batch.
 */
export function toOnnx(graph: Graph, options: OnnxOptions = {}): Uint8Array {
  verify(graph)
  const { nodes, read } = live(graph)
  const constants = [...read].filter(value => value.data !== null)
  const renamed = new Map<Value, string>()
  const aliases: object[] = []
  for (const [name, value] of graph.outputs) {
    // An output takes its public name unless its value has one already: then a copy is delivered.
    if (!renamed.has(value) && (value.producer || value.name === name)) renamed.set(value, name)
    else
      aliases.push({
        opType: 'Identity',
        name: `deliver_${name}`,
        input: [renamed.get(value) ?? value.name],
        output: [name],
      })
  }
  const nameOf = (value: Value | null) => (value ? (renamed.get(value) ?? value.name) : '')
  const free = options.otherBatch && compareBatches(graph, options.otherBatch)
  const shapes = free && computedShapes(free, nameOf(free.input))
  const typeOf = (name: string, value: Value) =>
    typeMessage(name, value.dtype, free?.shape(value) ?? value.shape)
  const model = {
    irVersion: 8,
    producerName: 'onnxgrad',
    docString: options.doc ?? '',
    opsetImport: [
      { domain: '', version: OPSET },
      { domain: 'com.microsoft', version: 1 },
    ],
    metadataProps: Object.entries(options.metadata ?? {}).map(([key, value]) => ({ key, value })),
    graph: {
      name: options.name ?? 'onnxgrad',
      node: [...(shapes?.nodes ?? []), ...nodes.map(node => nodeMessage(node, nameOf, read)), ...aliases],
      initializer: [
        ...constants.filter(value => !free?.constants.has(value)).map(tensorMessage),
        ...(shapes?.constants ?? []),
      ],
      input: graph.inputs.map(value => typeOf(value.name, value)),
      output: [...graph.outputs].map(([name, value]) => typeOf(name, value)),
    },
  }
  return modelType.encode(modelType.fromObject(model)).finish()
}

/** The nodes that an output depends on, in order, and what they and the outputs read. */
function live(graph: Graph): { nodes: Node[]; read: Set<Value> } {
  const nodes = liveNodes(graph)
  const read = new Set<Value>(graph.outputs.values())
  for (const { inputs } of nodes.toReversed()) for (const input of inputs) if (input) read.add(input)
  return { nodes, read }
}

function nodeMessage(node: Node, nameOf: (value: Value | null) => string, read: ReadonlySet<Value>): object {
  const { name: op, attributes: kinds, requiredOutputs = node.outputs.length } = node.definition
  const required = typeof requiredOutputs === 'number' ? requiredOutputs : requiredOutputs(node.attributes)
  const lastRead = node.outputs.findLastIndex((output, i) => i < required || read.has(output))
  const [domain, opType] = op.includes(':') ? op.split(':') : [domains[op] ?? '', op]
  return {
    name: node.name,
    opType,
    domain,
    input: node.inputs.map(nameOf),
    output: node.outputs.slice(0, lastRead + 1).map(nameOf),
    attribute: Object.entries(node.attributes).map(([name, value]) =>
      attributeMessage(name, kinds[name]!, value),
    ),
  }
}

function attributeMessage(name: string, kind: AttributeKind, value: Attribute): object {
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

function tensorMessage(value: Value): object {
  const data = value.data!
  return {
    name: value.name,
    dims: [...value.shape],
    dataType: dtypes[value.dtype].onnx,
    // ONNX raw data is little-endian, as is every platform that the runtime supports.
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }
}

function typeMessage(name: string, dtype: DType, shape: readonly Length[]): object {
  const dim = shape.map(length =>
    typeof length === 'number'
      ? { dimValue: length }
      : { dimParam: length.batches === 1 ? 'batch' : `${length.batches} * batch` },
  )
  return { name, type: { tensorType: { elemType: dtypes[dtype].onnx, shape: { dim } } } }
}

/** Nodes that put together, from the input's shape, the constants in which the batch is an element, by their names. */
function computedShapes({ constants, axis }: FreeBatch, input: string) {
  const nodes: object[] = []
  const numbers: object[] = []
  const node = (
    opType: string,
    from: readonly string[],
    to: string,
    attributes: Record<string, number> = {},
  ) => {
    const attribute = Object.entries(attributes).map(([name, i]) => attributeMessage(name, 'int', i))
    nodes.push({ name: `${to}_node`, opType, input: [...from], output: [to], attribute })
    return to
  }
  const number = (name: string, value: number) => {
    const rawData = new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)
    numbers.push({ name, dims: [1], dataType: dtypes.int64.onnx, rawData })
    return name
  }
  const batch = node('Shape', [input], 'free_batch', { start: axis, end: axis + 1 })
  for (const [{ name }, lengths] of constants) {
    const parts = lengths.map((length, i) => {
      if (typeof length === 'number') return number(`${name}_part${i}`, length)
      if (length.batches === 1) return batch
      return node('Mul', [batch, number(`${name}_times${i}`, length.batches)], `${name}_part${i}`)
    })
    node('Concat', parts, name, { axis: 0 })
  }
  return { nodes, constants: numbers }
}
