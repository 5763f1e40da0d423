import { afterAll, describe, expect, it } from 'vitest'
import { gradients } from '../autodiff/gradients.js'
import { Graph, type Value } from '../graph/graph.js'
import { add, mul } from '../ops/elementwise.js'
import { operators } from '../ops/registry.js'
import { startRuntime } from '../runtime/node/index.js'
import { evaluate, numbers } from '../testing/evaluate.js'
import { inputsOf, type Message, onnxFile, tensor } from '../testing/onnx-file.js'
import { applyCase, pointOf } from '../testing/op-cases.js'
import { readOnnx } from './from-onnx.js'
import { toOnnx } from './to-onnx.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

/** A file applied to inputs of its own types, in a graph of its own; free dimensions are of length 1. */
function replayed(bytes: Uint8Array): Graph {
  const model = readOnnx(bytes)
  const graph = new Graph()
  const { outputs } = model.apply(graph, inputsOf(model, graph, 1))
  for (const [name, value] of Object.entries(outputs)) graph.output(name, value)
  return graph
}

describe('readOnnx of what toOnnx wrote', () => {
  for (const definition of operators) {
    if (typeof definition.gradient !== 'function') continue
    for (const test of definition.cases) {
      it(`computes the same, forward and backward: ${definition.name}, ${test.name}`, async () => {
        const graph = new Graph()
        const inputs = test.inputs.map((shape, i) => graph.input(`x${i}`, 'float32', shape))
        const y = applyCase(definition, test, graph, inputs)
        const ones = new Array(y.shape.reduce((n, dim) => n * dim, 1)).fill(1)
        graph.output('y', y)
        gradients([{ value: y, seed: graph.constant(y.dtype, y.shape, ones) }], inputs).forEach((part, i) => {
          if (part) graph.output(`g${i}`, part)
        })
        const feeds = Object.fromEntries(pointOf(test).map((values, i) => [`x${i}`, values]))
        const expected = await evaluate(runtime, graph, feeds, { optimize: false })
        const again = await evaluate(runtime, replayed(toOnnx(graph)), feeds, { optimize: false })
        expect(Object.keys(again)).toEqual(Object.keys(expected))
        for (const [output, { dtype, shape, data }] of Object.entries(expected)) {
          // A cubic Resize is read as matrix products.
          if (definition.name === 'Resize' && test.name === 'cubic')
            for (const [i, value] of numbers(again[output]).entries())
              expect(value).toBeCloseTo(Number(data[i]), 5)
          else expect(again[output]).toEqual({ dtype, shape, data })
        }
      })
    }
  }
})

const affine = (change?: (model: Message) => void) =>
  onnxFile(
    {
      inputs: { x: ['float32', ['batch', 3]] },
      initializers: { w: tensor('float32', [3, 2], [1, 2, 3, 4, 5, 6]), b: tensor('float32', [2], [10, 20]) },
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['product'], name: '/layer/MatMul' },
        { op: 'Add', inputs: ['product', 'b'], outputs: ['y'] },
      ],
      outputs: ['y'],
    },
    change,
  )

describe('a model', () => {
  const model = readOnnx(
    affine(m => {
      m.metadataProps = [{ key: 'by', value: 'a test' }]
      m.producerVersion = '3'
    }),
  )

  it('says what it takes, gives and is', () => {
    expect(model.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['batch', 3] }])
    expect(model.outputs).toEqual(['y'])
    expect(model.metadata).toMatchObject({
      producer: 'test',
      producerVersion: '3',
      opset: 17,
      properties: { by: 'a test' },
    })
    expect(model.parameters).toEqual({
      w: tensor('float32', [3, 2], [1, 2, 3, 4, 5, 6]),
      b: tensor('float32', [2], [10, 20]),
    })
  })

  it('can be built twice into one graph, and differentiated at inner values and parameters', async () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2, 3])
    const w = graph.input('weights', 'float32', [3, 2])
    const first = model.apply(graph, { x }, { w })
    const second = model.apply(graph, { x: mul(x, 2) })
    graph.output('sum', add(first.outputs.y!, second.outputs.y!))
    const seed = graph.constant('float32', [2, 2], [1, 1, 1, 1])
    const product = first.values.get('product') as Value
    expect(product.producer!.name).toMatch(/^layer\/MatMul\//)
    const wrt = [w, second.values.get('b')!, product]
    gradients([{ value: graph.outputs.get('sum')!, seed }], wrt).forEach((part, i) => {
      graph.output(`g${i}`, part!)
    })
    const feeds = { x: [1, 0, 0, 0, 1, 0], weights: [1, 2, 3, 4, 5, 6] }
    const got = await evaluate(runtime, graph, feeds)
    expect(numbers(got.sum)).toEqual([23, 46, 29, 52])
    expect(numbers(got.g0)).toEqual([1, 1, 1, 1, 0, 0])
    expect(numbers(got.g1)).toEqual([2, 2])
    expect(numbers(got.g2)).toEqual([1, 1, 1, 1])
  })

  it('says what does not fit', () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2, 3])
    const wrong = graph.input('wrong', 'float32', [3, 3])
    const narrow = graph.input('narrow', 'float32', [5, 2])
    expect(() => model.apply(graph, {})).toThrow("input 'x' float32[batch, 3] is not given")
    expect(() => model.apply(graph, { x: narrow })).toThrow(
      "input 'x' is float32[batch, 3] in the file but float32[5, 2] was given",
    )
    expect(() => model.apply(graph, { x, z: x })).toThrow("the file has no input 'z'")
    expect(() => model.apply(graph, { x }, { w: wrong })).toThrow(
      "parameter 'w' is float32[3, 2] in the file",
    )
    expect(() => model.apply(graph, { x }, { v: wrong })).toThrow("the file has no parameter 'v'")
  })

  it('has one length for free dimensions of one name', () => {
    const two = readOnnx(
      onnxFile({
        inputs: { x: ['float32', ['n', null]], y: ['float32', ['n', null]] },
        nodes: [{ op: 'Concat', inputs: ['x', 'y'], outputs: ['z'], attributes: { axis: 1 } }],
        outputs: ['z'],
      }),
    )
    expect(two.inputs.map(({ shape }) => shape)).toEqual([
      ['n', 'x:1'],
      ['n', 'y:1'],
    ])
    const graph = new Graph()
    const x = graph.input('x', 'float32', [4, 1])
    expect(two.apply(graph, { x, y: graph.input('y', 'float32', [4, 6]) }).outputs.z!.shape).toEqual([4, 7])
    expect(() => two.apply(graph, { x, y: graph.input('other', 'float32', [3, 6]) })).toThrow(
      "input 'y' is float32[4, y:1] in the file but float32[3, 6] was given",
    )
  })

  it('lists as parameters only what a training may move', () => {
    const bytes = onnxFile({
      inputs: { x: ['float32', [2, 2]] },
      initializers: {
        weight: tensor('float32', [2, 2], [1, 2, 3, 4]),
        exponent: tensor('float32', [1], [2]),
        number: tensor('float32', [], [3]),
        scale: tensor('float32', [2], [1, 1]),
        unused: tensor('float32', [2], [1, 1]),
        half: tensor('float32', [2], [0.5, 0.5]),
      },
      nodes: [
        { op: 'MatMul', inputs: ['x', 'weight'], outputs: ['a'] },
        { op: 'Pow', inputs: ['a', 'exponent'], outputs: ['b'] },
        { op: 'Mul', inputs: ['b', 'number'], outputs: ['c'] },
        { op: 'Shape', inputs: ['half'], outputs: ['length'] },
        { op: 'Cast', inputs: ['scale'], outputs: ['whole'], attributes: { to: 7 } },
        { op: 'Concat', inputs: ['whole', 'length'], outputs: ['shape'], attributes: { axis: 0 } },
        { op: 'Expand', inputs: ['c', 'whole'], outputs: ['d'] },
        { op: 'Greater', inputs: ['d', 'half'], outputs: ['e'] },
        { op: 'Where', inputs: ['e', 'd', 'c'], outputs: ['y'] },
      ],
      outputs: ['y', 'shape'],
    })
    expect(Object.keys(readOnnx(bytes).parameters)).toEqual(['weight'])
  })

  it('reads nodes in any order', async () => {
    const shuffled = affine(m => m.graph.node.reverse())
    const got = await evaluate(runtime, replayed(shuffled), { x: [1, 1, 1] })
    expect(numbers(got.y)).toEqual([19, 32])
  })
})

describe('tensors', () => {
  const read = (message: Message, options = {}) =>
    readOnnx(
      onnxFile({ nodes: [{ op: 'Neg', inputs: ['t'], outputs: ['y'] }], outputs: ['y'] }, m => {
        m.graph.initializer = [{ name: 't', ...message }]
      }),
      options,
    )
  const data = (message: Message, options = {}) => {
    const { values } = read(message, options).apply(new Graph(), {})
    const { dtype, shape, data } = values.get('t')!
    return { dtype, shape, data: Array.from(data as Float32Array) }
  }

  it.each([
    ['float_data', { dataType: 1, dims: [2], floatData: [1.5, -2] }, 'float32', [1.5, -2]],
    ['double_data', { dataType: 11, dims: [1], doubleData: [1 / 3] }, 'float64', [1 / 3]],
    ['int64_data', { dataType: 7, dims: [2], int64Data: [-1, 2 ** 40] }, 'int64', [-1n, 2n ** 40n]],
    ['int32_data', { dataType: 6, dims: [2], int32Data: [-1, 7] }, 'int32', [-1, 7]],
    ['bool in int32_data', { dataType: 9, dims: [2], int32Data: [1, 0] }, 'bool', [1, 0]],
    [
      'float16 in int32_data',
      { dataType: 10, dims: [4], int32Data: [0x3c00, 0xc000, 0x7bff, 0x0001] },
      'float32',
      [1, -2, 65504, 2 ** -24],
    ],
    [
      'raw float16',
      { dataType: 10, dims: [2], rawData: Uint8Array.of(0, 0x38, 0, 0xfc) },
      'float32',
      [0.5, -Infinity],
    ],
    [
      'raw bfloat16',
      { dataType: 16, dims: [2], rawData: Uint8Array.of(0x80, 0x3f, 0x20, 0xc0) },
      'float32',
      [1, -2.5],
    ],
    ['an empty one', { dataType: 1, dims: [0, 5] }, 'float32', []],
  ] as const)('%s', (_, message, dtype, values) => {
    expect(data(message)).toEqual({ dtype, shape: message.dims, data: values })
  })

  it('outside the file are asked for, inside the folder only', () => {
    const external = (location: string, length = 8): Message => ({
      dataType: 1,
      dims: [2],
      dataLocation: 1,
      externalData: Object.entries({ location, offset: '4', length: String(length) }).map(([key, value]) => ({
        key,
        value,
      })),
    })
    const asked: unknown[] = []
    const externalData = (...request: unknown[]) => {
      asked.push(request)
      return new Uint8Array(Float32Array.of(3, 4).buffer)
    }
    expect(data(external('weights/a.bin'), { externalData }).data).toEqual([3, 4])
    expect(asked).toEqual([['weights/a.bin', 4, 8]])
    expect(() => read(external('a.bin'))).toThrow(
      "is kept in another file, 'a.bin'; give the option externalData",
    )
    for (const path of ['/etc/passwd', '../a', 'a/../../b', '..\\a', 'C:a', '\\\\host\\a', '', 'a\0b']) {
      expect(() => read(external(path), { externalData })).toThrow('no relative path inside the model')
    }
    expect(() => read(external('a.bin', 2 ** 50), { externalData })).toThrow('needs 8 bytes')
    expect(() => read(external('a.bin'), { externalData: () => new Uint8Array(3) })).toThrow(
      'but has 3 bytes',
    )
    expect(asked.length).toBe(1)
  })
})
