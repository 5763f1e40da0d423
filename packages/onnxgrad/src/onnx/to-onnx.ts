import { dtypes } from '../graph/dtype.js'
import type { Graph, Value } from '../graph/graph.js'
import { verify } from '../graph/verify.js'
import { compareBatches, type FreeBatch } from './free-batch.js'
import { attributeMessage, contentsOf, plainNode, tensorMessage, typeMessage } from './graph-message.js'
import { modelType } from './schema.js'

/** Opset written: the last one in which the reductions take their axes as an attribute, and with LayerNormalization. */
const OPSET = 17

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
  const { nodes, constants, nameOf } = contentsOf(graph)
  const free = options.otherBatch && compareBatches(graph, options.otherBatch)
  const shapes = free && computedShapes(free, nameOf(free.input))
  const typeOf = (name: string, value: Value) =>
    typeMessage(name, value.dtype, free?.shape(value) ?? value.shape)
  return modelFile(options, {
    node: [...(shapes?.nodes ?? []), ...nodes],
    initializer: [
      ...constants.filter(value => !free?.constants.has(value)).map(tensorMessage),
      ...(shapes?.constants ?? []),
    ],
    input: graph.inputs.map(value => typeOf(value.name, value)),
    output: [...graph.outputs].map(([name, value]) => typeOf(name, value)),
  })
}

/** A model file with this graph. */
export function modelFile({ name, doc, metadata = {} }: OnnxOptions, graph: object): Uint8Array {
  const model = {
    irVersion: 8,
    producerName: 'onnxgrad',
    docString: doc ?? '',
    opsetImport: [
      { domain: '', version: OPSET },
      { domain: 'com.microsoft', version: 1 },
    ],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: { name: name ?? 'onnxgrad', ...graph },
  }
  return modelType.encode(modelType.fromObject(model)).finish()
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
    nodes.push(plainNode(opType, `${to}_node`, from, [to], attribute))
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
