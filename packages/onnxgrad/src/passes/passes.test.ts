import { afterAll, describe, expect, it } from 'vitest'
import { gradients } from '../autodiff/gradients.js'
import { Graph, type OpDefinition } from '../graph/graph.js'
import { liveNodes } from '../graph/live-nodes.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { gelu, sigmoid, Tanh, tanh } from '../ops/activation.js'
import { defineOp } from '../ops/define-op.js'
import { Add, add, Mul, mul } from '../ops/elementwise.js'
import { Slice, Split, split, transpose } from '../ops/layout.js'
import { fusedMatMul, Gemm, gemm } from '../ops/matrix-product.js'
import { ReduceSum, reduceSum } from '../ops/reduction.js'
import { Flatten, flatten, Reshape, reshape, squeeze, unsqueeze } from '../ops/reshaping.js'
import { startRuntime } from '../runtime/node/index.js'
import { evaluate, numbers } from '../testing/evaluate.js'
import { collapseReshapes } from './collapse-reshapes.js'
import { shareCommonSubexpressions } from './common-subexpressions.js'
import { foldScalars } from './fold-scalars.js'
import { forDevice } from './for-device.js'
import { recompute } from './recompute.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const at = (size: number, seed = 1) =>
  Array.from({ length: size }, (_, i) => (((i + seed) * Math.SQRT2) % 1) - 0.5)
const feeds = { a: at(6), b: at(12, 7), c: at(4, 31) }

function inputs() {
  const graph = new Graph()
  return {
    graph,
    a: graph.input('a', 'float32', [2, 3]),
    b: graph.input('b', 'float32', [3, 4]),
    c: graph.input('c', 'float32', [4]),
  }
}

async function sameResults(before: Graph, after: Graph) {
  const [x, y] = [await evaluate(runtime, before, feeds), await evaluate(runtime, after, feeds)]
  expect(Object.keys(y)).toEqual(Object.keys(x))
  for (const [name, tensor] of Object.entries(x)) {
    const got = numbers(y[name])
    numbers(tensor).forEach((value, i) => {
      expect(got[i]).toBeCloseTo(value, 5)
    })
  }
}
const count = (graph: Graph, definition: OpDefinition) =>
  graph.nodes.filter(node => node.definition === definition).length

describe('foldScalars', () => {
  it('moves scalars through layout into the product, addend included', async () => {
    const { graph, a, b, c } = inputs()
    const product = transpose(reshape(gemm(a, b, c), [2, 2, 2]), [1, 0, 2])
    graph.output('y', mul(mul(0.5, product), -3))
    const after = foldScalars(graph)
    expect(count(after, Mul)).toBe(0)
    expect(after.nodes[0]!.attributes).toEqual({ alpha: -1.5, beta: -1.5 })
    await sameResults(graph, after)
  })

  it('leaves a product that someone else reads', async () => {
    const { graph, a, b } = inputs()
    const product = gemm(a, b)
    graph.output('y', add(mul(product, 2), product))
    expect(foldScalars(graph)).toBe(graph)
    const delivered = inputs()
    const inner = gemm(delivered.a, delivered.b)
    delivered.graph.output('inner', inner)
    delivered.graph.output('y', mul(inner, 2))
    expect(foldScalars(delivered.graph)).toBe(delivered.graph)
  })

  it('leaves factors that are no scalar constants', () => {
    const { graph, a, b, c } = inputs()
    graph.output('y', mul(gemm(a, b), c))
    graph.output('z', tanh(a))
    expect(foldScalars(graph)).toBe(graph)
  })

  it('leaves a factor that adds axes', async () => {
    const { graph, a, b } = inputs()
    graph.output('y', mul(gemm(a, b), graph.constant('float32', [1, 1, 1], [2])))
    expect(foldScalars(graph)).toBe(graph)
  })
})

describe('collapseReshapes', () => {
  it('makes one of changes of shape in a row, and none of those that end where they began', async () => {
    const { graph, a, b } = inputs()
    const back = reshape(unsqueeze(reshape(add(a, 1), [6]), [1]), [2, 3])
    graph.output('none', mul(back, a))
    graph.output('one', flatten(squeeze(reshape(b, [2, 1, 6]), [1]), 1))
    graph.output('other', reshape(flatten(tanh(b), 0), [6, 2]))
    const after = collapseReshapes(graph)
    expect(liveNodes(after).filter(({ definition }) => [Reshape, Flatten].includes(definition))).toHaveLength(
      2,
    )
    await sameResults(graph, after)
  })
})

describe('shareCommonSubexpressions', () => {
  it('computes once what is there twice, chains included', async () => {
    const { graph, a, b } = inputs()
    const y = () => tanh(gemm(a, b))
    graph.output('y', add(y(), y()))
    const after = shareCommonSubexpressions(graph)
    expect([count(after, Gemm), count(after, Tanh), count(after, Add)]).toEqual([1, 1, 1])
    await sameResults(graph, after)
  })

  it('tells attributes and inputs apart', async () => {
    const { graph, a, b } = inputs()
    graph.output('y', reduceSum(transpose(b, [1, 0]), [0]))
    graph.output('z', reduceSum(b, [0]))
    graph.output('w', add(gemm(a, b), gemm(a, b, null, { a: false })))
    const after = shareCommonSubexpressions(graph)
    expect(count(after, ReduceSum)).toBe(2)
    await sameResults(graph, after)
  })

  it('keeps gradients, inputs and output names', async () => {
    const { graph, a, b, c } = inputs()
    const loss = reduceSum(mul(gemm(a, b, c), gemm(a, b, c)), [0, 1])
    graph.output('loss', loss)
    gradients([{ value: loss }], [a, b, c]).forEach((gradient, i) => {
      graph.output(`g${i}`, gradient!)
    })
    const after = foldScalars(shareCommonSubexpressions(graph))
    expect(after.inputs.map(input => input.name)).toEqual(['a', 'b', 'c'])
    expect(after.nodes.length).toBeLessThan(graph.nodes.length)
    expect(toOnnx(after)).toEqual(toOnnx(foldScalars(shareCommonSubexpressions(graph))))
    await sameResults(graph, after)
  })
})

describe('recompute', () => {
  function twoBlocks() {
    const { graph, a, b, c } = inputs()
    const x = gemm(a, b)
    const y = graph.within('block0', () => add(x, gelu(mul(tanh(x), c))))
    const z = graph.within('block1', () => add(y, tanh(mul(y, c))))
    const loss = reduceSum(mul(z, z), [0, 1])
    graph.output('loss', loss)
    const parts = graph.within('backward', () => gradients([{ value: loss }], [a, b, c]))
    parts.forEach((part, i) => {
      graph.output(`g${i}`, part!)
    })
    return graph
  }

  it('gives the same gradients', async () => {
    const graph = twoBlocks()
    await sameResults(graph, recompute(graph, ['block0', 'block1']))
  })

  it('keeps of a block only what flows out of it', () => {
    const after = recompute(twoBlocks(), ['block0', 'block1'])
    const nodes = liveNodes(after)
    const inside = (name: string) => /^block\d/.test(name)
    const readBackward = nodes
      .filter(node => node.name.startsWith('backward/') || node.name.startsWith('recomputed/'))
      .flatMap(node => node.inputs)
      .filter(value => value?.producer && inside(value.producer.name))
    // What enters block 1 left block 0; nothing else of the forward blocks is read again.
    expect(new Set(readBackward.map(value => value!.name)).size).toBeLessThanOrEqual(2)
    expect(nodes.some(node => node.name.startsWith('recomputed/block0/'))).toBe(true)
    expect(nodes.some(node => node.name.startsWith('recomputed/block1/'))).toBe(true)
  })

  it('is not undone by the sharing of common subexpressions', () => {
    const after = recompute(twoBlocks(), ['block0', 'block1'])
    const copies = (graph: Graph) => liveNodes(graph).filter(node => node.definition === Tanh).length
    expect(copies(shareCommonSubexpressions(after))).toBe(copies(after))
  })
})

describe('forDevice', () => {
  it('writes FusedMatMul out where there is no kernel for it', async () => {
    const { graph, a, b } = inputs()
    graph.within('block0', () => {
      graph.output('plain', fusedMatMul(a, b))
      graph.output('both', fusedMatMul(b, a, { transA: true, transB: true, alpha: -0.5 }))
    })
    expect(forDevice(graph, 'cpu')).toBe(graph)
    const after = forDevice(graph, 'webgpu')
    expect(after.nodes.map(({ definition }) => definition.name)).toEqual([
      'MatMul',
      'Transpose',
      'Transpose',
      'MatMul',
      'Mul',
    ])
    expect(after.nodes.every(({ name }) => name.startsWith('block0/'))).toBe(true)
    await sameResults(graph, after)
  })
  it('slices what a Split would cut into more parts than WebGPU has buffers for', async () => {
    const parts = (lengths: readonly number[]) => {
      const { graph, b } = inputs()
      split(reshape(b, [1, 12]), lengths, -1).forEach((part, i) => {
        graph.output(`part${i}`, tanh(part))
      })
      return graph
    }
    const wide = parts([1, 2, 1, 2, 1, 2, 1, 2])
    const after = forDevice(wide, 'webgpu')
    expect([count(wide, Split), count(after, Split), count(after, Slice)]).toEqual([1, 0, 8])
    await sameResults(wide, after)
    expect(forDevice(wide, 'cuda')).toBe(wide)
    const narrow = parts([1, 2, 1, 2, 1, 2, 3])
    expect(forDevice(narrow, 'webgpu')).toBe(narrow)
  })
  it('gives its own constants names that no constant of the graph has', async () => {
    const { graph, a, b, c } = inputs()
    graph.output('first', fusedMatMul(a, b, { alpha: 3 }))
    graph.output('second', mul(c, graph.constant('float32', [1], [2])))
    const after = forDevice(graph, 'webgpu')
    await sameResults(graph, after)
  })
})

describe('an operator that the registry does not have', () => {
  const Softplus: OpDefinition = defineOp({
    name: 'Softplus',
    infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
    gradient: ({ inputs: [x], gradients: [dy] }) => [mul(dy!, sigmoid(x!))],
  })

  it('is verified, differentiated, shared and written like any other', async () => {
    const { graph, a } = inputs()
    const twice = mul(graph.apply(Softplus, [a])[0]!, graph.apply(Softplus, [a])[0]!)
    graph.output('y', twice)
    graph.output('g', gradients([{ value: reduceSum(twice, [0, 1]) }], [a])[0]!)
    const shared = shareCommonSubexpressions(graph)
    expect([count(graph, Softplus), count(shared, Softplus)]).toEqual([2, 1])
    const { y, g } = await evaluate(runtime, shared, feeds)
    feeds.a.forEach((x, i) => {
      const softplus = Math.log1p(Math.exp(x))
      expect(numbers(y)[i]).toBeCloseTo(softplus ** 2, 5)
      expect(numbers(g)[i]).toBeCloseTo((2 * softplus) / (1 + Math.exp(-x)), 5)
    })
  })

  it('is not confused with another one of the same name', () => {
    const { graph, a } = inputs()
    const negated: OpDefinition = { ...Softplus, gradient: 'zero' }
    graph.output('y', mul(graph.apply(Softplus, [a])[0]!, graph.apply(negated, [a])[0]!))
    expect(shareCommonSubexpressions(graph).nodes.length).toBe(3)
  })
})
