import { describe, expect, it } from 'vitest'
import { InputError } from '../errors.js'
import { Graph, GraphError } from '../graph/graph.js'
import { operators } from '../ops/registry.js'
import {
  inputsOf,
  type Message,
  type OnnxFile,
  onnxFile,
  tensor,
  tensorMessage,
} from '../testing/onnx-file.js'
import { readOnnx } from './from-onnx.js'
import { toOnnx } from './to-onnx.js'

// A file may come from anybody. Whatever is in it, the answer is one sentence or a sound graph.

/** A file with something of everything: free dimensions, shape arithmetic, constants, several kinds of attributes. */
const file: OnnxFile = {
  inputs: { x: ['float32', ['batch', 2, 6]] },
  initializers: {
    w: tensor(
      'float32',
      [3, 4],
      Array.from({ length: 12 }, (_, i) => i / 10),
    ),
    b: tensor('float32', [4], [1, 2, 3, 4]),
    last: tensor('int64', [1], [3]),
    axes: tensor('int64', [1], [-1]),
  },
  nodes: [
    { op: 'Shape', inputs: ['x'], outputs: ['s'], name: '/shape', attributes: { end: 2 } },
    { op: 'Constant', outputs: ['two'], attributes: { value: tensor('int64', [1], [2]) } },
    { op: 'Concat', inputs: ['s', 'two', 'last'], outputs: ['shape'], attributes: { axis: 0 } },
    { op: 'Reshape', inputs: ['x', 'shape'], outputs: ['r'], attributes: { allowzero: 0 } },
    { op: 'MatMul', inputs: ['r', 'w'], outputs: ['m'], name: '/fc/MatMul' },
    { op: 'Add', inputs: ['m', 'b'], outputs: ['a'], name: '/fc/Add' },
    { op: 'Softmax', inputs: ['a'], outputs: ['p'], attributes: { axis: -1 } },
    { op: 'Transpose', inputs: ['p'], outputs: ['t'], attributes: { perm: [0, 2, 1, 3] } },
    {
      op: 'ConstantOfShape',
      inputs: ['last'],
      outputs: ['c'],
      attributes: { value: tensor('float32', [1], [0.5]) },
    },
    { op: 'ReduceMean', inputs: ['c', 'axes'], outputs: ['d'], attributes: { keepdims: 0 } },
    { op: 'Mul', inputs: ['t', 'd'], outputs: ['y'] },
  ],
  outputs: ['y'],
  opset: 18,
}

/** What reading, building and writing again end in: the sentence, or null. Anything but the two errors is thrown on. */
function outcome(bytes: Uint8Array): string | null {
  try {
    const model = readOnnx(bytes)
    const graph = new Graph()
    const { outputs } = model.apply(graph, inputsOf(model, graph, 2))
    Object.values(outputs).forEach((value, i) => {
      graph.output(graph.unused(`out${i}`), value)
    })
    toOnnx(graph)
    return null
  } catch (error) {
    if (error instanceof InputError || error instanceof GraphError) return error.message
    throw error
  }
}

const node = (m: Message, i: number): Message => m.graph.node[i]
const initializer = (m: Message, i: number): Message => m.graph.initializer[i]
const attribute = (m: Message, i: number): Message => node(m, i).attribute[0]

const faults: [string, (m: Message) => void, RegExp][] = [
  ['no graph', m => delete m.graph, /has no graph/],
  ['no opset', m => delete m.opsetImport, /of opset unknown; export it with one of 13 to 21/],
  ['an opset of the past', m => (m.opsetImport[0].version = 9), /of opset 9; export/],
  ['an opset of the future', m => (m.opsetImport[0].version = 99), /of opset 99; export/],
  ['functions', m => (m.functions = [Uint8Array.of(1)]), /functions of its own; inline them/],
  ['sparse tensors', m => (m.graph.sparseInitializer = [Uint8Array.of(1)]), /sparse initializers/],
  ['no outputs', m => (m.graph.output = []), /no outputs/],
  [
    'an output that nothing computes',
    m => (m.graph.output[0].name = 'z'),
    /output 'z' is computed by no node/,
  ],
  ['an output twice', m => m.graph.output.push(m.graph.output[0]), /output 'y' .* is there twice/],
  [
    'an initializer twice',
    m => m.graph.initializer.push(initializer(m, 0)),
    /initializer 'w' is there twice/,
  ],
  ['an input twice', m => m.graph.input.push(m.graph.input[0]), /input 'x' is there twice/],
  ['a name computed twice', m => (node(m, 5).output = ['m']), /the name 'm' is there twice/],
  ['a name of an initializer', m => (node(m, 5).output = ['w']), /the name 'w' is there twice/],
  ['a node that needs itself', m => (node(m, 4).input = ['m', 'w']), /node '\/fc\/MatMul' .* cyclic/],
  ['a longer cycle', m => (node(m, 4).input = ['t', 'w']), /depends on itself; the graph is cyclic/],
  [
    'a missing value',
    m => (node(m, 4).input = ['nowhere', 'w']),
    /node '\/fc\/MatMul' \(MatMul\) uses 'nowhere'/,
  ],
  ['an input left out', m => (node(m, 4).input = ['r']), /node '\/fc\/MatMul' .* input 1 is missing/],
  [
    'an operator of no known kind',
    m => (node(m, 4).opType = 'Frobnicate'),
    /node '\/fc\/MatMul': operator Frobnicate is not/,
  ],
  ['another domain', m => (node(m, 4).domain = 'evil.org'), /operator evil.org:MatMul is not supported/],
  ['a name of JavaScript', m => (node(m, 4).opType = 'constructor'), /operator constructor is not supported/],
  [
    '__proto__ as a name',
    m =>
      Object.assign(node(m, 10), { output: ['__proto__'] }) &&
      Object.assign(m.graph.output[0], { name: '__proto__' }),
    /^$/,
  ],
  ['more outputs than there are', m => (node(m, 4).output = ['m', 'n']), /output 1 is not supported/],
  [
    'a subgraph',
    m => Object.assign(attribute(m, 6), { type: 5, g: Uint8Array.of(1) }),
    /attribute axis is a subgraph/,
  ],
  [
    'an attribute that is not declared',
    m => (attribute(m, 6).name = 'beam'),
    /attribute beam = -1 is not supported/,
  ],
  [
    'an attribute of another kind',
    m => Object.assign(attribute(m, 6), { type: 1, f: 0.5 }),
    /axis = 0.5 is not of kind int/,
  ],
  ['an attribute without its tensor', m => delete attribute(m, 1).t, /attribute value is empty/],
  ['no attribute', m => (node(m, 1).attribute = []), /a constant given by nothing/],
  [
    'a value of many elements',
    m => (attribute(m, 8).t = { dims: [2], dataType: 1, floatData: [1, 2] }),
    /2 elements instead of one/,
  ],
  ['a tensor of 2^60 elements', m => (initializer(m, 0).dims = ['1152921504606846976']), /cannot have shape/],
  ['one of 2^40 × 2^40', m => (initializer(m, 0).dims = [2 ** 40, 2 ** 40]), /cannot have shape/],
  [
    'one of 2^40 elements',
    m => (initializer(m, 0).dims = [2 ** 20, 2 ** 20]),
    /needs 4398046511104 bytes .* but has 48 bytes/,
  ],
  ['one of negative length', m => (initializer(m, 0).dims = [-3, -4]), /cannot have shape \[-3, -4\]/],
  ['one of a thousand axes', m => (initializer(m, 0).dims = new Array(1000).fill(1)), /has 1000 axes/],
  [
    'one cut short',
    m => (initializer(m, 0).rawData = new Uint8Array(47)),
    /needs 48 bytes of float32 but has 47 bytes/,
  ],
  ['one without data', m => delete initializer(m, 0).rawData, /but has 0 values/],
  ['strings', m => (initializer(m, 0).dataType = 8), /initializer 'w' is of string, which is not supported/],
  ['a data type of no known kind', m => (initializer(m, 0).dataType = 77), /is of type number 77/],
  [
    'an input of float16',
    m => (m.graph.input[0].type.tensorType.elemType = 10),
    /input 'x' is of float16, .* in float32/,
  ],
  ['an input without a type', m => delete m.graph.input[0].type, /input 'x' is no tensor/],
  ['an input without a shape', m => delete m.graph.input[0].type.tensorType.shape, /input 'x' has no shape/],
  [
    'an input beyond measure',
    m => (m.graph.input[0].type.tensorType.shape.dim[1].dimValue = 2 ** 52),
    /cannot have shape/,
  ],
  [
    'a cast to float16',
    m => Object.assign(node(m, 6), { opType: 'Cast', attribute: [{ name: 'to', type: 2, i: 10 }] }),
    /is of float16, which is not supported; export the model in float32/,
  ],
  [
    'shapes that do not fit',
    m => (initializer(m, 0).dims = [4, 3]),
    /node '\/fc\/MatMul' .*inner dimensions differ/,
  ],
  [
    'a shape that is computed and wrong',
    m => (initializer(m, 2).rawData = new Uint8Array(BigInt64Array.of(5n).buffer)),
    /cannot take the shape/,
  ],
  [
    'a constant of enormous shape',
    m => (initializer(m, 2).rawData = new Uint8Array(BigInt64Array.of(2n ** 52n).buffer)),
    /./,
  ],
  ['a shape that is a parameter', m => (node(m, 3).input = ['x', 'r']), /./],
]

describe('a faulty file ends in one sentence', () => {
  it('and the sound one in none', () => expect(outcome(onnxFile(file))).toBeNull())

  it.each(faults)('%s', (_, change, sentence) => {
    const message = outcome(onnxFile(file, m => void change(m))) ?? ''
    expect(message).toMatch(sentence)
    expect(message.length).toBeLessThan(400)
  })

  it('what is no ONNX file at all', () => {
    for (const bytes of [
      [],
      [0],
      [0xff, 0xff, 0xff],
      Array.from('#!/bin/sh\necho hello\n', c => c.charCodeAt(0)),
    ]) {
      expect(outcome(Uint8Array.from(bytes))).toMatch(/no ONNX file|no graph|of opset unknown/)
    }
  })

  it('messages nested without end', () => {
    // Groups within groups, and length-delimited graphs within graphs.
    expect(outcome(new Uint8Array(1 << 20).fill(0x0b))).toMatch(/no ONNX file/)
    expect(outcome(new Uint8Array(1 << 20).fill(0x3a))).toMatch(/no ONNX file|of opset unknown/)
  })

  it('a file cut off anywhere', () => {
    const bytes = onnxFile(file)
    for (let length = 0; length < bytes.length; length++) {
      expect(outcome(bytes.subarray(0, length))).not.toBe('')
    }
  })

  it('chains and fans of a few ten thousand nodes in reasonable work', () => {
    const count = 30_000
    const chain = Array.from({ length: count }, (_, i) => ({
      op: 'Neg',
      inputs: [i === 0 ? 'x' : `v${i}`],
      outputs: [`v${i + 1}`],
    }))
    const deep = { inputs: { x: ['float32', [1]] as const }, nodes: chain.reverse(), outputs: [`v${count}`] }
    expect(readOnnx(onnxFile(deep)).outputs).toEqual([`v${count}`])
    const wide = [
      ...chain.map(({ op, outputs }) => ({ op, inputs: ['x'], outputs })),
      { op: 'Max', inputs: chain.flatMap(c => c.outputs), outputs: ['y'] },
    ]
    expect(readOnnx(onnxFile({ ...deep, nodes: wide.reverse(), outputs: ['y'] })).outputs).toEqual(['y'])
  })

  it('ranges that would fill the memory', () => {
    const nodes = Array.from({ length: 1000 }, (_, i) => ({
      op: 'Range',
      inputs: ['zero', 'many', 'one'],
      outputs: [`r${i}`],
    }))
    const ends = { zero: 0, one: 1, many: 1 << 16 }
    const initializers = Object.fromEntries(
      Object.entries(ends).map(([name, value]) => [name, tensor('int64', [], [value])]),
    )
    const bytes = onnxFile({ initializers, nodes, outputs: ['r0'] })
    expect(() => readOnnx(bytes).apply(new Graph(), {})).toThrow("node 'r256' (Range) cannot be built")
  })

  it('constants that would fill the memory are left to the runtime', () => {
    const before = process.memoryUsage().arrayBuffers
    const nodes = Array.from({ length: 200 }, (_, i) => ({
      op: 'Expand',
      inputs: ['one', `shape${i % 2}`],
      outputs: [`big${i}`],
    }))
    const bytes = onnxFile({
      initializers: {
        one: tensor('float32', [], [1]),
        shape0: tensor('int64', [2], [1 << 16, 1]),
        shape1: tensor('int64', [2], [1 << 24, 1 << 24]),
      },
      nodes: [...nodes, { op: 'Add', inputs: ['big0', 'big2'], outputs: ['y'] }],
      outputs: ['y'],
    })
    const { values } = readOnnx(bytes).apply(new Graph(), {})
    expect(values.get('big0')!.data!.length).toBe(1 << 16)
    expect(values.get('big1')!.data).toBeNull()
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 28)
  })
})

/** Marsaglia's xorshift: the same faults at every run. */
function draws(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

describe('files changed at random end in a sentence or in a sound graph', () => {
  /** Counts the sound ones; both ways must be gone often enough. */
  const expectBoth = (count: number, mutant: () => Uint8Array) => {
    let sound = 0
    for (let i = 0; i < count; i++) if (outcome(mutant()) === null) sound++
    expect(sound).toBeGreaterThan(count / 50)
    expect(sound).toBeLessThan(count - count / 50)
  }

  it('in bytes', () => {
    const bytes = onnxFile(file)
    const below = draws(1234567)
    expectBoth(1000, () => {
      const mutant = Array.from(bytes)
      for (let left = below(4); left >= 0; left--) {
        const [at, kind] = [below(mutant.length), below(4)]
        if (kind === 0) mutant[at] = below(256)
        else if (kind === 1) mutant[at]! ^= 1 << below(8)
        else if (kind === 2) mutant.splice(at, 1 + below(8))
        else mutant.splice(at, 0, ...Array.from({ length: 1 + below(8) }, () => below(256)))
      }
      return Uint8Array.from(mutant)
    })
  })

  it('in operators, names, attributes and numbers', () => {
    const below = draws(7654321)
    const any = <T>(list: readonly T[]): T => list[below(list.length)]!
    const ops = [
      ...operators.map(({ name }) => name),
      'Constant',
      'Shape',
      'Size',
      'Range',
      'Dropout',
      'CastLike',
    ]
    const numbers = [
      0,
      1,
      -1,
      2,
      3,
      -7,
      64,
      2 ** 16,
      2 ** 31,
      -(2 ** 31),
      2 ** 40,
      2 ** 53,
      -(2 ** 62),
      2 ** 62,
    ]
    const names = [
      'x',
      'w',
      'b',
      'last',
      'axes',
      's',
      'two',
      'shape',
      'r',
      'm',
      'a',
      'p',
      't',
      'c',
      'd',
      'y',
      '',
    ]
    const changes: ((m: Message) => void)[] = [
      m => {
        any<Message>(m.graph.node).opType = any(ops)
      },
      m => {
        const { input } = any<Message>(m.graph.node)
        input.splice(below(input.length + 1), below(2), any(names))
      },
      m => {
        any<Message>(m.graph.initializer).dims = Array.from({ length: below(4) }, () => String(any(numbers)))
      },
      m => {
        const values = Array.from({ length: 1 + below(4) }, () => BigInt(any(numbers)))
        const shape = [values.length]
        Object.assign(m.graph.initializer[2 + below(2)], tensorMessage('', tensor('int64', shape, values)))
        m.graph.initializer[2].name = 'last'
        m.graph.initializer[3].name = 'axes'
      },
      m => {
        const list = Array.from({ length: below(4) }, () => String(any(numbers)))
        any<Message>(m.graph.node).attribute = [
          { name: any(['axis', 'axes', 'perm', 'keepdims', 'pads', 'to', 'group']), type: 7, ints: list },
        ]
      },
      m => {
        const [attribute] = any<Message>(m.graph.node).attribute as Message[]
        if (attribute) attribute.i = String(any(numbers))
      },
    ]
    expectBoth(2000, () =>
      onnxFile(file, m => {
        for (let left = below(3); left >= 0; left--) any(changes)(m)
      }),
    )
  })
})
