import { InputError } from '../errors.js'
import { dtypes, isFloat } from '../graph/dtype.js'
import type { Graph, Value } from '../graph/graph.js'
import { sameShape, type Tensor } from '../graph/tensor.js'
import { opFor } from '../ops/registry.js'
import { type ForeignAttribute, isReadable, NEWEST_OPSET, OLDEST_OPSET } from './opset.js'
import {
  type Applied,
  type FileGraph,
  type FileInput,
  type FileNode,
  refuseOthers,
  replay,
} from './replay.js'
import {
  type AttributeMessage,
  attributeTypes,
  type GraphMessage,
  type ModelMessage,
  modelType,
  type NodeMessage,
  type ValueInfoMessage,
} from './schema.js'
import { type Parts, separateInitializers } from './separate-initializers.js'
import { dtypeOf, type ExternalData, MAX_RANK, readTensor } from './tensor-message.js'
import { inOrder } from './topological-order.js'
import { writeFile } from './write-file.js'

export interface ReadOptions {
  /** Reads tensors that are kept in files beside the model. Without it such a model is refused. */
  readonly externalData?: ExternalData
}

/** An ONNX file that was read, checked and found to consist of operators that are known. */
export interface OnnxModel {
  readonly inputs: readonly FileInput[]
  readonly outputs: readonly string[]
  /**
   * Initializers that a training may move: floats of one axis or more whose elements reach an output through
   * operators that have a gradient; one of equal values (ones, zeros) that several nodes read is there once for each
   * of them. Not among them are the statistics of a BatchNormalization, bounds, exponents and
   * what serves shapes alone. Tables that were never trained (an attention mask) cannot be told from weights: choose.
   * The data is that of the file, not a copy.
   */
  readonly parameters: Readonly<Record<string, Tensor>>
  readonly metadata: {
    readonly producer: string
    readonly producerVersion: string
    readonly name: string
    readonly doc: string
    readonly opset: number
    readonly properties: Readonly<Record<string, string>>
  }
  /**
   * Builds the model into a graph, as often as wanted.
   *
   * @param inputs a value of the graph for every input, of its type and shape; these give free dimensions a length.
   * @param parameters values that take the place of initializers (any of them, not only `parameters`): graph inputs
   * make the model trainable. Initializers that are not given become constants; their data is not copied.
   * @throws InputError where an input does not fit, or naming the node that cannot be built.
   */
  apply(
    graph: Graph,
    inputs: Readonly<Record<string, Value>>,
    parameters?: Readonly<Record<string, Value>>,
  ): Applied
  /**
   * The file with other tensors in place of initializers, by name; their shapes may differ from those in the file.
   * Data is not copied. Throws InputError if there is no such initializer.
   */
  replace(tensors: Readonly<Record<string, Tensor>>): OnnxModel
  /**
   * The file as bytes, of the same nodes and opset, with all weights inside.
   * @param properties metadata; they go before the file's own.
   * @throws InputError if it would be larger than 2 GiB.
   */
  write(properties?: Readonly<Record<string, string>>): Uint8Array
}

/**
 * Reads an ONNX model of opset 13 to 21. Subgraphs (If, Loop), local functions, sparse and string tensors are refused.
 * @throws InputError that says what is wrong with the file or not supported, and where.
 */
export function readOnnx(bytes: Uint8Array, options: ReadOptions = {}): OnnxModel {
  const message = decode(bytes)
  opsetOf(message)
  const { graph } = message
  if (!graph) throw new InputError('the ONNX file has no graph; it is damaged or of another format')
  if (message.functions.length > 0) {
    throw new InputError('the ONNX file has functions of its own; inline them first (onnx.inliner)')
  }
  if (graph.sparseInitializer.length > 0) {
    throw new InputError(
      'the ONNX file has sparse initializers, which are not supported; save them as dense ones',
    )
  }
  const initializers = new Map<string, Tensor>()
  for (const tensor of graph.initializer) {
    const where = `initializer '${tensor.name}'`
    if (initializers.has(tensor.name)) throw new InputError(`${where} is there twice; the file is damaged`)
    initializers.set(tensor.name, readTensor(tensor, where, options.externalData))
  }
  return modelOf(message, separateInitializers({ nodes: graph.node, initializers }), options, false)
}

/**
 * A file from its parts, checked.
 * @param reshaped whether initializers have other shapes than in the message.
 */
function modelOf(message: ModelMessage, parts: Parts, options: ReadOptions, reshaped: boolean): OnnxModel {
  const graph = message.graph!
  const { initializers } = parts
  const opset = opsetOf(message)
  const inputs = readInputs(graph, initializers)
  const outputs = graph.output.map(({ name }) => name)
  if (outputs.length === 0) throw new InputError('the ONNX file has no outputs')
  const sources = new Set([...initializers.keys(), ...inputs.map(({ name }) => name)])
  const nodes = inOrder(
    parts.nodes.map((node, i) => readNode(node, i, options)),
    sources,
  )
  const made = new Set([...sources, ...nodes.flatMap(node => node.outputs)])
  for (const name of outputs) {
    if (name === '' || !made.delete(name)) {
      throw new InputError(`output '${name}' is computed by no node, or is there twice; the file is damaged`)
    }
  }
  const trainable = trainableOf(nodes, outputs, initializers)
  const file: FileGraph = { opset, inputs, outputs, nodes, initializers, trainable }
  return {
    inputs,
    outputs,
    parameters: Object.fromEntries([...trainable].map(name => [name, initializers.get(name)!])),
    metadata: {
      producer: message.producerName,
      producerVersion: message.producerVersion,
      name: graph.name,
      doc: message.docString,
      opset,
      properties: Object.fromEntries(message.metadataProps.map(({ key, value }) => [key, value])),
    },
    apply: (graph, values, parameters = {}) => replay(file, graph, values, parameters),
    replace(tensors) {
      refuseOthers('initializer', tensors, initializers)
      const replaced = new Map(
        [...initializers].map(([name, old]) => [name, Object.hasOwn(tensors, name) ? tensors[name]! : old]),
      )
      const other = Object.keys(tensors).some(
        name => !sameShape(tensors[name]!.shape, initializers.get(name)!.shape),
      )
      return modelOf(message, { ...parts, initializers: replaced }, options, reshaped || other)
    },
    write: (properties = {}) => writeFile(message, parts, properties, reshaped),
  }
}

function decode(bytes: Uint8Array): ModelMessage {
  try {
    // A plain view: of a Node Buffer the decoder would make buffers, whose slices share memory.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return modelType.decode(plain) as unknown as ModelMessage
  } catch (error) {
    throw new InputError(`this is no ONNX file, or it is cut off or damaged (${(error as Error).message})`)
  }
}

function opsetOf({ opsetImport }: ModelMessage): number {
  const standard = opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')
  const opset = standard ? Number(standard.version) : 0
  if (opset < OLDEST_OPSET || opset > NEWEST_OPSET) {
    throw new InputError(
      `the ONNX file is of opset ${opset || 'unknown'}; export it with one of ${OLDEST_OPSET} to ${NEWEST_OPSET}`,
    )
  }
  return opset
}

function readInputs(message: GraphMessage, initializers: ReadonlyMap<string, Tensor>): FileInput[] {
  const names = new Set<string>()
  // Files of old list the initializers among the inputs.
  const inputs = message.input.filter(({ name }) => !initializers.has(name))
  return inputs.map(input => {
    if (names.has(input.name))
      throw new InputError(`input '${input.name}' is there twice; the file is damaged`)
    names.add(input.name)
    const { dtype, dims } = typeOf(input)
    const shape = dims.map(({ dimValue, dimParam }, axis) => {
      const length = Number(dimValue)
      return length > 0 ? length : dimParam || `${input.name}:${axis}`
    })
    checkLengths(shape, input.name)
    return { name: input.name, dtype, shape }
  })
}

function typeOf({ name, type }: ValueInfoMessage) {
  const tensor = type?.tensorType
  if (!tensor) throw new InputError(`input '${name}' is no tensor; sequences and maps are not supported`)
  if (!tensor.shape)
    throw new InputError(`input '${name}' has no shape; run shape inference on the file first`)
  return { dtype: dtypeOf(tensor.elemType, `input '${name}'`), dims: tensor.shape.dim }
}

function checkLengths(shape: FileInput['shape'], name: string): void {
  const size = shape.reduce<number>((product, dim) => (typeof dim === 'number' ? product * dim : product), 1)
  if (shape.length > MAX_RANK || !Number.isSafeInteger(size)) {
    throw new InputError(`input '${name}' cannot have shape [${shape.slice(0, MAX_RANK).join(', ')}]`)
  }
}

function readNode(node: NodeMessage, i: number, { externalData }: ReadOptions): FileNode {
  const name = node.name || node.output[0] || `#${i}`
  const domain = node.domain === 'ai.onnx' ? '' : node.domain
  const qualified = domain === '' ? node.opType : `${domain}:${node.opType}`
  // The one operator that this package itself writes to the runtime's domain.
  const op = qualified === 'com.microsoft:Gelu' ? 'Gelu' : qualified
  const attributes = node.attribute.map(
    attribute => [attribute.name, readAttribute(attribute, `node '${name}' (${op})`, externalData)] as const,
  )
  if (!isReadable(op)) throw new InputError(`node '${name}': operator ${op} is not supported`)
  return {
    name,
    op,
    inputs: node.input,
    outputs: node.output,
    attributes: Object.fromEntries(attributes),
  }
}

function readAttribute(message: AttributeMessage, node: string, external?: ExternalData): ForeignAttribute {
  const where = `${node}: attribute ${message.name}`
  switch (message.type) {
    case attributeTypes.float:
      return message.f
    case attributeTypes.int:
      return clamped(message.i)
    case attributeTypes.string:
      // A field that is left out is a plain empty array.
      return new TextDecoder().decode(Uint8Array.from(message.s))
    case attributeTypes.tensor:
      if (!message.t) throw new InputError(`${where} is empty; the file is damaged`)
      return readTensor(message.t, where, external)
    case attributeTypes.floats:
      return message.floats
    case attributeTypes.ints:
      return message.ints.map(clamped)
    default:
      throw new InputError(`${where} is a subgraph or of another kind that is not supported`)
  }
}

/** As a number; the largest integers mean 'to the end', as these do. */
function clamped(value: { toNumber(): number }): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value.toNumber()))
}

/** Inputs that no training moves although they may be floats: bounds, fill values, exponents, statistics, shapes. */
const settings: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [3, 4],
  Clip: [1, 2],
  Dropout: [1],
  Pad: [2],
  Pow: [1],
  Range: [0, 1, 2],
  Resize: [1, 2],
  Shape: [0],
  Size: [0],
}

function trainableOf(
  nodes: readonly FileNode[],
  outputs: readonly string[],
  initializers: ReadonlyMap<string, Tensor>,
): Set<string> {
  const matters = new Set(outputs)
  for (const { op, inputs, outputs: made, attributes } of [...nodes].reverse()) {
    if (!made.some(name => matters.has(name)) || opFor(op)?.gradient === 'zero') continue
    if (op === 'Cast' && attributes.to !== dtypes.float32.onnx && attributes.to !== dtypes.float64.onnx)
      continue
    inputs.forEach((name, i) => {
      if (!settings[op]?.includes(i)) matters.add(name)
    })
  }
  // A float without axes is how exporters write a number that stands in the code.
  return new Set(
    [...initializers].flatMap(([name, { dtype, shape }]) =>
      isFloat(dtype) && shape.length > 0 && matters.has(name) ? [name] : [],
    ),
  )
}
