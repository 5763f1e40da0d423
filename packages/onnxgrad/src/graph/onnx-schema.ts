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
  },
  Graph: {
    node: [1, 'Node', 'repeated'],
    name: [2, 'string'],
    initializer: [5, 'Tensor', 'repeated'],
    docString: [10, 'string'],
    input: [11, 'ValueInfo', 'repeated'],
    output: [12, 'ValueInfo', 'repeated'],
    valueInfo: [13, 'ValueInfo', 'repeated'],
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
    floats: [7, 'float', 'repeated'],
    ints: [8, 'int64', 'repeated'],
    type: [20, 'int32'],
  },
  Tensor: {
    dims: [1, 'int64', 'repeated'],
    dataType: [2, 'int32'],
    name: [8, 'string'],
    rawData: [9, 'bytes'],
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

/** TensorProto.DataType. */
export const dataTypes = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float64: 11 } as const

/** AttributeProto.AttributeType. */
export const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const
