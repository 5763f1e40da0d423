import { afterAll, describe, expect, it } from 'vitest'
import { Graph } from '../graph/graph.js'
import type { Tensor } from '../graph/tensor.js'
import { Neg } from '../ops/elementwise.js'
import { startRuntime } from '../runtime/node/index.js'
import { inputsOf, type OnnxNode, onnxFile, tensor } from '../testing/onnx-file.js'
import { readOnnx } from './from-onnx.js'
import { toOnnx } from './to-onnx.js'

// Files as other programs write them: what the runtime makes of the file itself against what it makes of the graph
// that was read from it.
const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const x = tensor(
  'float32',
  [2, 3, 4],
  Array.from({ length: 24 }, (_, i) => (((i * 7) % 23) - 11) / 10),
)
const list = (...values: number[]) => tensor('int64', [values.length], values)

async function compare(file: Parameters<typeof onnxFile>[0]) {
  const bytes = onnxFile(file)
  const model = readOnnx(bytes)
  const graph = new Graph()
  const inputs = inputsOf(model, graph, 1)
  const { outputs } = model.apply(graph, inputs)
  for (const [name, value] of Object.entries(outputs)) graph.output(name, value)
  const run = async (model: Uint8Array) => {
    const session = await runtime.load(model)
    try {
      return await session.run(inputs.x ? { x } : {})
    } finally {
      await session.release()
    }
  }
  const [expected, got] = [await run(bytes), await run(toOnnx(graph))]
  expect(Object.keys(got)).toEqual(Object.keys(expected))
  for (const [name, tensor] of Object.entries(expected)) {
    expect([got[name]!.dtype, got[name]!.shape]).toEqual([tensor.dtype, tensor.shape])
    expect(got[name]!.data.length).toBe(tensor.data.length)
    tensor.data.forEach((value: number | bigint, i: number) => {
      if (typeof value === 'bigint') expect(got[name]!.data[i]).toBe(value)
      else expect(Number(got[name]!.data[i])).toBeCloseTo(value, 5)
    })
  }
  return { graph, outputs }
}

interface Conversion {
  readonly name: string
  readonly opset: number
  readonly initializers?: Record<string, Tensor>
  readonly nodes: OnnxNode[]
}
const one = (
  op: string,
  opset: number,
  initializers: Record<string, Tensor> = {},
  attributes = {},
  outputs = ['y'],
) => ({
  name: `${op}-${opset} ${Object.keys({ ...initializers, ...attributes }).join(', ')}`,
  opset,
  initializers,
  nodes: [
    {
      op,
      inputs: ['x', ...Object.keys(initializers).map(name => (name.startsWith('_') ? '' : name))],
      outputs,
      attributes,
    },
  ],
})

const conversions: Conversion[] = [
  ...(['linear', 'cubic'] as const).flatMap(mode =>
    [
      { axes: [2, -1], sizes: list(5, 2) },
      { axes: [3], scales: tensor('float32', [1], [1.6]) },
    ].map(({ axes, sizes, scales }): Conversion => {
      const given: Record<string, Tensor> = sizes ? { sizes } : { scales: scales! }
      return {
        name: `Resize-18 ${mode}, some axes by ${Object.keys(given)}`,
        opset: 18,
        initializers: { ...given, first: list(0) },
        nodes: [
          { op: 'Unsqueeze', inputs: ['x', 'first'], outputs: ['image'] },
          {
            op: 'Resize',
            inputs: ['image', '', ...(sizes ? ['', 'sizes'] : ['scales'])],
            outputs: ['y'],
            attributes: { axes, mode, antialias: 0, keep_aspect_ratio_policy: 'stretch' },
          },
        ],
      }
    }),
  ),
  one('ReduceMean', 13, {}, { axes: [-1], keepdims: 0 }),
  one('ReduceMean', 18, { axes: list(1, -1) }, { keepdims: 1 }),
  one('ReduceMax', 18, { axes: list(0) }, { keepdims: 0 }),
  one('ReduceMean', 18, {}, { noop_with_empty_axes: 1 }),
  one('ReduceMin', 18),
  one('ReduceSum', 13, { axes: list(-2) }, { noop_with_empty_axes: 0 }),
  one('ReduceSum', 13, {}, { noop_with_empty_axes: 1 }),
  one('ReduceSum', 13, { axes: list() }, { keepdims: 0 }),
  one('Gelu', 20),
  one('Gelu', 20, {}, { approximate: 'tanh' }),
  one('Gelu', 20, {}, { approximate: 'none' }),
  one('Pad', 13, { pads: list(0, 1, 0, 0, 2, 0) }),
  one('Pad', 18, { pads: list(1, 2), value: tensor('float32', [], [7]), axes: list(-1) }),
  one('Clip', 13, { low: tensor('float32', [], [-0.3]) }),
  one('Clip', 13, { _: list(), high: tensor('float32', [], [0.3]) }),
  one('Clip', 13),
  one('Cast', 19, {}, { to: 11, saturate: 1 }),
  one('Reshape', 14, { shape: list(4, -1) }, { allowzero: 1 }),
  one('Reshape', 13, { shape: list(0, -1) }),
  one('Flatten', 13, {}, { axis: 2 }),
  one('Flatten', 13, {}, { axis: 3 }),
  one('Flatten', 13),
  one('Dropout', 13),
  one('Dropout', 13, { ratio: tensor('float32', [], [0.5]), training: tensor('bool', [], [0]) }, {}, [
    'y',
    'mask',
  ]),
  one('Identity', 13),
  one('Pow', 13, { exponent: tensor('int64', [], [2]) }),
  ...[
    { opset: 13, attributes: { axis: 2 } },
    // Two parts of three elements do not come out even, which opset 13 does not allow.
    { opset: 18, attributes: { axis: -2, num_outputs: 2 } },
  ].map(({ opset, attributes }) => ({
    name: `Split-${opset} by ${Object.keys(attributes).join(', ')}`,
    opset,
    nodes: [
      { op: 'Split', inputs: ['x'], outputs: ['a', 'b'], attributes },
      { op: 'Concat', inputs: ['b', 'a'], outputs: ['y'], attributes: { axis: attributes.axis } },
    ],
  })),
  {
    name: 'Unsqueeze and Squeeze',
    opset: 13,
    initializers: { axes: list(0, -1), other: list(-1) },
    nodes: [
      { op: 'Unsqueeze', inputs: ['x', 'axes'], outputs: ['wide'] },
      { op: 'Squeeze', inputs: ['wide', 'other'], outputs: ['narrow'] },
      { op: 'Squeeze', inputs: ['narrow'], outputs: ['y'] },
    ],
  },
  ...['value_float', 'value_floats'].map(kind => ({
    name: `Constant ${kind}`,
    opset: 13,
    nodes: [
      { op: 'Constant', outputs: ['c'], attributes: { [kind]: kind.endsWith('s') ? [1, 2.5, 3, 4] : 2.5 } },
      { op: 'Mul', inputs: ['x', 'c'], outputs: ['y'] },
    ],
  })),
  {
    name: 'Constant value_int and value_ints, CastLike',
    opset: 15,
    nodes: [
      { op: 'Constant', outputs: ['axis'], attributes: { value_ints: [1] } },
      { op: 'Constant', outputs: ['times'], attributes: { value_int: 3 } },
      { op: 'ReduceSum', inputs: ['x', 'axis'], outputs: ['sum'] },
      { op: 'CastLike', inputs: ['times', 'x'], outputs: ['factor'] },
      { op: 'Mul', inputs: ['sum', 'factor'], outputs: ['y'] },
    ],
  },
]

describe('conversion to the internal form', () => {
  for (const { name, opset, initializers = {}, nodes } of conversions) {
    it(name, async () => {
      const present = Object.fromEntries(Object.entries(initializers).filter(([key]) => !key.startsWith('_')))
      const types = { y: name.startsWith('Cast-') ? 11 : 1, mask: 9 }
      await compare({
        opset,
        inputs: { x: ['float32', [2, 3, 4]] },
        initializers: present,
        nodes,
        outputs: nodes.at(-1)!.outputs,
        types,
      })
    })
  }
})

/** Steps of shape arithmetic: each delivers its result, and all must be computed while the graph is built. */
const steps: { [name: string]: { nodes: OnnxNode[]; initializers?: Record<string, Tensor>; type?: number } } =
  {
    'Shape, Gather, Concat': {
      nodes: [
        { op: 'Shape', inputs: ['x'], outputs: ['s'] },
        { op: 'Gather', inputs: ['s', 'first'], outputs: ['a'], attributes: { axis: 0 } },
        { op: 'Unsqueeze', inputs: ['a', 'zero'], outputs: ['b'] },
        { op: 'Concat', inputs: ['b', 'rest'], outputs: ['y'], attributes: { axis: 0 } },
      ],
      initializers: { first: tensor('int64', [], [-2]), zero: list(0), rest: list(-1, 5) },
    },
    'Shape with bounds': {
      nodes: [{ op: 'Shape', inputs: ['x'], outputs: ['y'], attributes: { start: -2, end: 3 } }],
    },
    Size: { nodes: [{ op: 'Size', inputs: ['x'], outputs: ['y'] }] },
    'Slice to the end': {
      nodes: [
        { op: 'Shape', inputs: ['x'], outputs: ['s'] },
        { op: 'Slice', inputs: ['s', 'start', 'end', 'axis'], outputs: ['y'] },
      ],
      initializers: { start: list(1), end: tensor('int64', [1], [2n ** 63n - 1n]), axis: list(0) },
    },
    'Div towards zero': {
      nodes: [{ op: 'Div', inputs: ['a', 'b'], outputs: ['y'] }],
      initializers: { a: list(7, -7, 9), b: list(2, 2, -4) },
    },
    'Add, Sub, Mul, Neg, Min, Max broadcast': {
      nodes: [
        { op: 'Add', inputs: ['a', 'b'], outputs: ['c'] },
        { op: 'Sub', inputs: ['c', 'd'], outputs: ['e'] },
        { op: 'Mul', inputs: ['e', 'a'], outputs: ['f'] },
        { op: 'Neg', inputs: ['f'], outputs: ['g'] },
        { op: 'Min', inputs: ['g', 'd'], outputs: ['h'] },
        { op: 'Max', inputs: ['h', 'b', 'a'], outputs: ['y'] },
      ],
      initializers: { a: list(1, 2, 3), b: tensor('int64', [2, 1], [10, -20]), d: tensor('int64', [], [4]) },
    },
    'Sqrt, Pow, Cast of floats': {
      nodes: [
        { op: 'Cast', inputs: ['a'], outputs: ['b'], attributes: { to: 1 } },
        { op: 'Pow', inputs: ['b', 'half'], outputs: ['c'] },
        { op: 'Sqrt', inputs: ['c'], outputs: ['d'] },
        { op: 'Mul', inputs: ['d', 'thousand'], outputs: ['e'] },
        { op: 'Cast', inputs: ['e'], outputs: ['y'], attributes: { to: 7 } },
      ],
      initializers: {
        a: list(16, 81),
        half: tensor('float32', [], [0.5]),
        thousand: tensor('float32', [], [1000.7]),
      },
    },
    'integer Pow': {
      nodes: [{ op: 'Pow', inputs: ['a', 'b'], outputs: ['y'] }],
      initializers: { a: list(3, -2, 0), b: list(4, 3, 0) },
    },
    'comparisons and Where': {
      nodes: [
        { op: 'Equal', inputs: ['a', 'b'], outputs: ['same'] },
        { op: 'Greater', inputs: ['a', 'b'], outputs: ['more'] },
        { op: 'Less', inputs: ['a', 'b'], outputs: ['less'] },
        { op: 'Not', inputs: ['less'], outputs: ['no'] },
        { op: 'And', inputs: ['more', 'no'], outputs: ['both'] },
        { op: 'Or', inputs: ['both', 'same'], outputs: ['either'] },
        { op: 'Where', inputs: ['either', 'a', 'b'], outputs: ['y'] },
      ],
      initializers: { a: list(1, 5, 3), b: list(2, 4, 3) },
    },
    'ConstantOfShape, Range, Transpose, Reshape': {
      nodes: [
        { op: 'ConstantOfShape', inputs: ['shape'], outputs: ['c'], attributes: { value: list(3) } },
        { op: 'Range', inputs: ['from', 'to', 'by'], outputs: ['r'] },
        { op: 'Add', inputs: ['c', 'r'], outputs: ['sum'] },
        { op: 'Transpose', inputs: ['sum'], outputs: ['t'], attributes: { perm: [1, 0] } },
        { op: 'Reshape', inputs: ['t', 'flat'], outputs: ['f'] },
        { op: 'Tile', inputs: ['f', 'twice'], outputs: ['y'] },
      ],
      initializers: {
        shape: list(2, 3),
        flat: list(-1),
        twice: list(2),
        ...Object.fromEntries(
          [
            ['from', 10],
            ['to', -2],
            ['by', -4],
          ].map(([k, v]) => [k, tensor('int64', [], [v as number])]),
        ),
      },
    },
    'Expand and the reductions': {
      nodes: [
        { op: 'Expand', inputs: ['a', 'shape'], outputs: ['wide'] },
        { op: 'ReduceProd', inputs: ['wide'], outputs: ['product'], attributes: { axes: [0], keepdims: 0 } },
        { op: 'ReduceSum', inputs: ['wide', 'last'], outputs: ['sum'], attributes: { keepdims: 1 } },
        { op: 'ReduceMax', inputs: ['sum'], outputs: ['max'], attributes: { keepdims: 1 } },
        { op: 'Add', inputs: ['product', 'max'], outputs: ['y'] },
      ],
      initializers: { a: list(2, 3, 5), shape: list(2, 3), last: list(-1) },
    },
    ScatterND: {
      nodes: [{ op: 'ScatterND', inputs: ['a', 'places', 'rows'], outputs: ['y'] }],
      initializers: {
        a: tensor('int64', [3, 2], [1, 2, 3, 4, 5, 6]),
        places: tensor('int64', [2, 1], [2, 0]),
        rows: tensor('int64', [2, 2], [-1, -2, -3, -4]),
      },
    },
    'Floor, Mod': {
      nodes: [
        { op: 'Floor', inputs: ['a'], outputs: ['b'] },
        { op: 'Cast', inputs: ['b'], outputs: ['c'], attributes: { to: 7 } },
        { op: 'Mod', inputs: ['c', 'three'], outputs: ['y'] },
      ],
      initializers: { a: tensor('float32', [3], [2.5, -1.5, 7]), three: tensor('int64', [], [3]) },
    },
  }

describe('shape arithmetic', () => {
  for (const [name, { nodes, initializers = {}, type = 7 }] of Object.entries(steps)) {
    it(`is carried out while the graph is built: ${name}`, async () => {
      const usesInput = nodes.some(node => node.inputs?.includes('x'))
      const { graph, outputs } = await compare({
        inputs: usesInput ? { x: ['float32', [2, 3, 4]] } : {},
        initializers,
        nodes,
        outputs: ['y'],
        types: { y: type },
      })
      expect(outputs.y!.data).not.toBeNull()
      expect(graph.nodes).toEqual([])
    })
  }

  it('leaves parameters alone, so that gradients can be taken there', () => {
    const bytes = onnxFile({
      initializers: { w: tensor('float32', [2], [1, 2]) },
      nodes: [{ op: 'Neg', inputs: ['w'], outputs: ['y'] }],
      outputs: ['y'],
    })
    const graph = new Graph()
    const { outputs } = readOnnx(bytes).apply(graph, {})
    expect(outputs.y!.producer!.definition).toBe(Neg)
  })
})
