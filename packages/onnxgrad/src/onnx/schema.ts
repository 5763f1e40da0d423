import protobuf from 'protobufjs/light.js'

// The messages of ONNX's onnx.proto that this package writes and reads: field name → [number, type, rule].
// Unknown fields of a file are skipped by the decoder.
type Field = readonly [number, string, 'repeated'?]
const messages: Record<string, Record<string, Field>> = {
  OperatorSetId: { domain: [1, 'string'], version: [2, 'int64'] },
  StringStringEntry: { key: [1, 'string'], value: [2, 'string'] },
  Model: {
    irVersion: [1, 'int64'],
    producerName: [2, 'string'],
    producerVersion: [3, 'string'],
    docString: [6, 'string'],
    graph: [7, 'Graph'],
    opsetImport: [8, 'OperatorSetId', 'repeated'],
    metadataProps: [14, 'StringStringEntry', 'repeated'],
    functions: [25, 'bytes', 'repeated'],
  },
  Graph: {
    node: [1, 'Node', 'repeated'],
    name: [2, 'string'],
    initializer: [5, 'Tensor', 'repeated'],
    docString: [10, 'string'],
    input: [11, 'ValueInfo', 'repeated'],
    output: [12, 'ValueInfo', 'repeated'],
    valueInfo: [13, 'ValueInfo', 'repeated'],
    sparseInitializer: [15, 'bytes', 'repeated'],
  },
  Node: {
    input: [1, 'string', 'repeated'],
    output: [2, 'string', 'repeated'],
    name: [3, 'string'],
    opType: [4, 'string'],
    attribute: [5, 'Attribute', 'repeated'],
    domain: [7, 'string'],
  },
  Attribute: {
    name: [1, 'string'],
    f: [2, 'float'],
    i: [3, 'int64'],
    s: [4, 'bytes'],
    t: [5, 'Tensor'],
    // Subgraphs of a file that is read are refused, so they are not parsed: the messages do not nest without end.
    g: [6, 'bytes'],
    floats: [7, 'float', 'repeated'],
    ints: [8, 'int64', 'repeated'],
    type: [20, 'int32'],
  },
  Tensor: {
    dims: [1, 'int64', 'repeated'],
    dataType: [2, 'int32'],
    floatData: [4, 'float', 'repeated'],
    int32Data: [5, 'int32', 'repeated'],
    int64Data: [7, 'int64', 'repeated'],
    name: [8, 'string'],
    rawData: [9, 'bytes'],
    doubleData: [10, 'double', 'repeated'],
    externalData: [13, 'StringStringEntry', 'repeated'],
    dataLocation: [14, 'int32'],
  },
  ValueInfo: { name: [1, 'string'], type: [2, 'Type'] },
  Type: { tensorType: [1, 'TensorType'] },
  TensorType: { elemType: [1, 'int32'], shape: [2, 'Shape'] },
  Shape: { dim: [1, 'Dimension', 'repeated'] },
  Dimension: { dimValue: [1, 'int64'], dimParam: [2, 'string'] },
}

const root = new protobuf.Root()
for (const [name, fields] of Object.entries(messages)) {
  const type = new protobuf.Type(name)
  for (const [field, [id, kind, rule]] of Object.entries(fields))
    type.add(new protobuf.Field(field, id, kind, rule))
  root.add(type)
}

/** ONNX's ModelProto. */
export const modelType = root.lookupType('Model')
/** ONNX's GraphProto. */
export const graphType = root.lookupType('Graph')

/** An int64 as the decoder gives it. */
interface Int64 {
  toNumber(): number
  toString(): string
}

/** What the decoder makes of the messages. A field that the file leaves out has its type's zero, a message null. */
export interface ModelMessage {
  readonly irVersion: Int64
  readonly producerName: string
  readonly producerVersion: string
  readonly docString: string
  readonly graph: GraphMessage | null
  readonly opsetImport: readonly { readonly domain: string; readonly version: Int64 }[]
  readonly metadataProps: readonly EntryMessage[]
  readonly functions: readonly Uint8Array[]
}

export interface EntryMessage {
  readonly key: string
  readonly value: string
}

export interface GraphMessage {
  readonly node: readonly NodeMessage[]
  readonly name: string
  readonly initializer: readonly TensorMessage[]
  readonly input: readonly ValueInfoMessage[]
  readonly output: readonly ValueInfoMessage[]
  readonly sparseInitializer: readonly Uint8Array[]
}

export interface NodeMessage {
  readonly input: readonly string[]
  readonly output: readonly string[]
  readonly name: string
  readonly opType: string
  readonly attribute: readonly AttributeMessage[]
  readonly domain: string
}

export interface AttributeMessage {
  readonly name: string
  readonly f: number
  readonly i: Int64
  readonly s: Uint8Array
  readonly t: TensorMessage | null
  readonly floats: readonly number[]
  readonly ints: readonly Int64[]
  readonly type: number
}

export interface TensorMessage {
  readonly dims: readonly Int64[]
  readonly dataType: number
  readonly floatData: readonly number[]
  readonly int32Data: readonly number[]
  readonly int64Data: readonly Int64[]
  readonly name: string
  readonly rawData: Uint8Array
  readonly doubleData: readonly number[]
  readonly externalData: readonly EntryMessage[]
  readonly dataLocation: number
}

export interface ValueInfoMessage {
  readonly name: string
  readonly type: {
    readonly tensorType: {
      readonly elemType: number
      readonly shape: {
        readonly dim: readonly { readonly dimValue: Int64; readonly dimParam: string }[]
      } | null
    } | null
  } | null
}

/** AttributeProto.AttributeType. */
export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
} as const
