import { arrayOf, type DType, dtypes } from '../graph/dtype.js'
import type { Graph, Value } from '../graph/graph.js'
import type { Shape, Tensor } from '../graph/tensor.js'
import type { OnnxModel } from '../onnx/from-onnx.js'
import { attributeTypes, modelType } from '../onnx/schema.js'

/** A float32, int64 or other tensor from plain numbers. */
export function tensor(dtype: DType, shape: Shape, values: ArrayLike<number | bigint>): Tensor {
  return { dtype, shape, data: arrayOf(dtype, values) }
}

/** Inputs of a graph for all that a file takes, free dimensions of a given length. */
export function inputsOf({ inputs }: OnnxModel, graph: Graph, free: number): Record<string, Value> {
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape }) => [
      name,
      graph.input(
        name,
        dtype,
        shape.map(dim => (typeof dim === 'number' ? dim : free)),
      ),
    ]),
  )
}

/** Attribute values: a whole number is written as INT, another one as FLOAT. */
type AttributeValue = number | string | readonly number[] | Tensor

export interface OnnxNode {
  readonly op: string
  readonly inputs?: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  readonly name?: string
  readonly domain?: string
}

export interface OnnxFile {
  readonly opset?: number
  /** A text is the name of a free dimension; null is a free one without a name. */
  readonly inputs?: Readonly<Record<string, readonly [DType, readonly (number | string | null)[]]>>
  readonly initializers?: Readonly<Record<string, Tensor>>
  readonly nodes: readonly OnnxNode[]
  readonly outputs: readonly string[]
  /** Element types of the outputs by ONNX's numbers, for the runtime, which wants them said. */
  readonly types?: Readonly<Record<string, number>>
}

/** An ONNX file as another program would write it, from the messages themselves. */
export function onnxFile(file: OnnxFile, change: (model: Message) => void = () => {}): Uint8Array {
  const model: Message = {
    irVersion: 8,
    producerName: 'test',
    opsetImport: [
      { domain: '', version: file.opset ?? 17 },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'test',
      node: file.nodes.map(({ op, name = '', domain = '', inputs = [], outputs, attributes = {} }) => ({
        opType: op,
        name,
        domain,
        input: [...inputs],
        output: [...outputs],
        attribute: Object.entries(attributes).map(attributeMessage),
      })),
      initializer: Object.entries(file.initializers ?? {}).map(([name, value]) => tensorMessage(name, value)),
      input: Object.entries(file.inputs ?? {}).map(([name, [dtype, dims]]) => ({
        name,
        type: {
          tensorType: {
            elemType: dtypes[dtype].onnx,
            shape: {
              dim: dims.map(dim =>
                typeof dim === 'number' ? { dimValue: dim } : dim === null ? {} : { dimParam: dim },
              ),
            },
          },
        },
      })),
      output: file.outputs.map(name => ({
        name,
        type: { tensorType: { elemType: file.types?.[name] ?? dtypes.float32.onnx } },
      })),
    },
  }
  change(model)
  return modelType.encode(modelType.fromObject(model)).finish()
}

/** A message before it is encoded: a test may put anything into it. */
// biome-ignore lint/suspicious/noExplicitAny: a faulty message has no type
export type Message = Record<string, any>

export function tensorMessage(name: string, { dtype, shape, data }: Tensor): Message {
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { name, dims: [...shape], dataType: dtypes[dtype].onnx, rawData }
}

function attributeMessage([name, value]: [string, AttributeValue]): Message {
  if (typeof value === 'string')
    return { name, type: attributeTypes.string, s: new TextEncoder().encode(value) }
  if (typeof value === 'object' && 'data' in value) {
    return { name, type: attributeTypes.tensor, t: tensorMessage('', value) }
  }
  if (name === 'value_floats') return { name, type: attributeTypes.floats, floats: value }
  if (typeof value === 'object') return { name, type: attributeTypes.ints, ints: value }
  if (Number.isInteger(value)) return { name, type: attributeTypes.int, i: value }
  return { name, type: attributeTypes.float, f: value }
}
