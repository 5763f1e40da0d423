import { afterAll, describe, expect, it } from 'vitest'
import { InputError } from '../errors.js'
import { Graph } from '../graph/graph.js'
import { startRuntime } from '../runtime/node/index.js'
import { type OnnxFile, onnxFile, tensor } from '../testing/onnx-file.js'
import { type OnnxModel, readOnnx } from './from-onnx.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const file: OnnxFile = {
  opset: 20,
  inputs: { x: ['float32', ['batch', 2]] },
  initializers: {
    w: tensor('float32', [2, 3], [1, 2, 3, 4, 5, 6]),
    ones: tensor('float32', [3], [1, 1, 1]),
    minus: tensor('float32', [], [-1]),
  },
  nodes: [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
    { op: 'Add', inputs: ['h', 'ones'], outputs: ['i'] },
    { op: 'Add', inputs: ['i', 'ones'], outputs: ['j'] },
    { op: 'Mul', inputs: ['j', 'minus'], outputs: ['y'] },
  ],
  outputs: ['y'],
}
const withShape = (model: { graph: { output: { type: { tensorType: object } }[] } }) =>
  Object.assign(model.graph.output[0]!.type.tensorType, {
    shape: { dim: [{ dimParam: 'batch' }, { dimValue: 3 }] },
  })
const bytes = onnxFile(file, model => withShape(model as Parameters<typeof withShape>[0]))
const model = readOnnx(bytes)

/** What the runtime makes of the file itself. */
async function run(written: Uint8Array) {
  const session = await runtime.load(written)
  try {
    return (await session.run({ x: tensor('float32', [1, 2], [1, 2]) })).y!
  } finally {
    await session.release()
  }
}

const names = ({ parameters }: OnnxModel) => Object.keys(parameters)

describe('a file that was read', () => {
  it('is written as it was, for the runtime, and read again', async () => {
    expect([...(await run(model.write())).data]).toEqual([-11, -14, -17])
    const again = readOnnx(model.write({ note: 'a' }))
    expect(again.metadata).toEqual({ ...model.metadata, properties: { note: 'a' } })
    expect(again.inputs).toEqual(model.inputs)
    expect(again.parameters).toEqual(model.parameters)
    expect(readOnnx(again.write({ note: 'b', other: 'c' })).metadata.properties).toEqual({
      note: 'b',
      other: 'c',
    })
  })

  it('has a parameter for every reader of equal values that were stored once', async () => {
    expect(names(model)).toEqual(['w', 'ones', 'ones.2'])
    const moved = model.replace({ 'ones.2': tensor('float32', [3], [10, 20, 30]) })
    expect([...(await run(moved.write())).data]).toEqual([-20, -33, -46])
    expect([...(await run(model.write())).data]).toEqual([-11, -14, -17])
  })

  it('gives these names that the file does not have', () => {
    const nodes = file.nodes.map(node => ({
      ...node,
      inputs: node.inputs!.map(name => (name === 'h' ? 'ones.2' : name)),
      outputs: node.outputs.map(name => (name === 'h' ? 'ones.2' : name)),
    }))
    expect(names(readOnnx(onnxFile({ ...file, nodes })))).toEqual(['w', 'ones', 'ones.3'])
  })

  it('keeps what several nodes read as one if its values differ', () => {
    const shared = { ...file.initializers!, ones: tensor('float32', [3], [1, 1, 2]) }
    expect(names(readOnnx(onnxFile({ ...file, initializers: shared })))).toEqual(['w', 'ones'])
  })

  it('takes initializers of other shapes', async () => {
    const wider = model.replace({
      w: tensor('float32', [2, 4], [1, 0, 0, 0, 0, 1, 0, 0]),
      ones: tensor('float32', [4], [0, 0, 0, 1]),
      'ones.2': tensor('float32', [1], [0]),
    })
    for (const read of [wider, readOnnx(wider.write())]) {
      const graph = new Graph()
      const { outputs } = read.apply(graph, { x: graph.input('x', 'float32', [5, 2]) })
      expect(outputs.y!.shape).toEqual([5, 4])
      const y = await run(read.write())
      expect([y.shape, [...y.data]]).toEqual([
        [1, 4],
        [-1, -2, -0, -1],
      ])
    }
  })

  it('refuses an initializer that it does not have', () => {
    expect(() => model.replace({ v: tensor('float32', [1], [0]) })).toThrow(InputError)
    expect(() => model.replace({ v: tensor('float32', [1], [0]) })).toThrow("the file has no initializer 'v'")
  })
})
