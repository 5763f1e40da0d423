import { afterAll, describe, expect, it } from 'vitest'
import { gradients } from '../autodiff/gradients.js'
import { Graph } from '../graph/graph.js'
import { startRuntime } from '../runtime/node/index.js'
import { evaluate, numbers } from '../testing/evaluate.js'
import { einsum } from './einsum.js'
import { gather, gatherElements, gatherND, ScatterElements, scatterElements } from './indexing.js'
import { slice, split } from './layout.js'
import { softmaxCrossEntropyLoss } from './loss.js'
import { reduceL2, reduceSum } from './reduction.js'
import { squeeze } from './reshaping.js'

// What the conformance cases cannot show: single points, the form of a gradient, and what is refused.
const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

describe('ReduceL2', () => {
  it('has gradient 0 at a vector of zeros', async () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2, 2])
    graph.output('g', gradients([{ value: reduceSum(reduceL2(x, [1]), [0]) }], [x])[0]!)
    const { g } = await evaluate(runtime, graph, { x: [0, 0, 3, 4] })
    expect(numbers(g)).toEqual([0, 0, Math.fround(0.6), Math.fround(0.8)])
  })
})

describe('the gradient of Gather', () => {
  const side = 7
  const reach = 2 * side - 1
  // Swin's table of relative positions (Liu et al. 2021): one row for every offset of two places of a window.
  const places = Array.from({ length: side * side }, (_, i) => [Math.floor(i / side), i % side] as const)
  const offsets = places.flatMap(([y, x]) =>
    places.map(([v, u]) => (y - v + side - 1) * reach + (x - u + side - 1)),
  )

  const gradientOf = (rows: number, indices: readonly number[]) => {
    const graph = new Graph()
    const x = graph.initializer('x', 'float32', [rows, 2], new Float32Array(rows * 2))
    const picked = gather(x, indices)
    const weights = graph.input('weights', 'float32', picked.shape)
    const [g] = gradients([{ value: picked, seed: weights }], [x])
    graph.output('g', g!)
    return { graph, scatters: graph.nodes.some(({ definition }) => definition === ScatterElements) }
  }

  it('sums the repeats of a table of relative positions without scattering', async () => {
    const { graph, scatters } = gradientOf(reach * reach, offsets)
    const weights = offsets.flatMap((_, i) => [i % 13, (i % 5) - 2])
    const expected = new Array<number>(reach * reach * 2).fill(0)
    offsets.forEach((row, i) => {
      expected[2 * row]! += weights[2 * i]!
      expected[2 * row + 1]! += weights[2 * i + 1]!
    })
    expect(scatters).toBe(false)
    expect(numbers((await evaluate(runtime, graph, { weights })).g)).toEqual(expected)
  })

  it('scatters where one row is asked for far more often than the others', async () => {
    const { graph, scatters } = gradientOf(50, [...new Array<number>(20).fill(7), 3])
    const { g } = await evaluate(runtime, graph, { weights: new Array(42).fill(1) })
    expect(scatters).toBe(true)
    expect(numbers(g).flatMap((v, i) => (v === 0 ? [] : [[i, v]]))).toEqual([
      [6, 1],
      [7, 1],
      [14, 20],
      [15, 20],
    ])
  })
})

describe('what is refused, and how', () => {
  const graph = new Graph()
  const x = graph.input('x', 'float32', [2, 4])
  const indices = (shape: readonly number[], values: readonly number[]) =>
    graph.constant('int64', shape, values)

  it.each([
    ['an index outside', () => gather(x, [0, 4], 1), 'index 4 is outside axis 1 of length 4'],
    [
      'an index outside, before the start',
      () => gatherElements(x, indices([1, 1], [-3])),
      'index -3 is outside axis 0 of length 2',
    ],
    ['float indices', () => gather(x, x), 'the indices must be int64 or int32, not float32'],
    [
      'indices that do not fit',
      () => gatherElements(x, indices([2], [0, 0])),
      'indices of shape [2] do not fit within the input',
    ],
    [
      'updates unlike their indices',
      () => scatterElements(x, indices([1, 2], [0, 0]), x),
      'the indices and the updates differ in shape',
    ],
    [
      'a reduction',
      () => graph.apply(ScatterElements, [x, indices([2, 4], new Array(8).fill(0)), x], { reduction: 'mul' }),
      "reduction 'mul' is not supported; use 'none' or 'add'",
    ],
    [
      'tuples that are too long',
      () => gatherND(x, indices([1, 3], [0, 0, 0])),
      'tuples of 3 indices do not fit 2 axes',
    ],
    [
      'a tuple outside',
      () => gatherND(x, indices([2, 2], [1, 3, 0, 4])),
      'index 4 is outside axis 1 of length 4',
    ],
    ['unequal parts', () => split(x, 3, 1), 'lengths [1, 1, 1] do not add up to the 4 of axis 1'],
    ['a step of 0', () => slice(x, [0], [0], [1], [0]), 'the step along axis 0 must not be 0'],
    ['a long axis squeezed', () => squeeze(x, [1]), 'axis 1 has length 4, not 1'],
    ['a diagonal', () => einsum('ii->i', x), "'ii' has a label twice, which is not supported"],
    ['a label of two lengths', () => einsum('ij,ji->', x, x), "'j' of 'ij,ji->' is both 4 and 2"],
    ['too few operands', () => einsum('ij,jk->ik', x), "'ij,jk->ik' has 2 operands, not 1"],
    ['a result from nowhere', () => einsum('ij->ik', x), "'k' of the result of 'ij->ik' is of no operand"],
    [
      'leading axes of two numbers',
      () => einsum('...j,...->...', x, x),
      "'...' of '...j,...->...' stands for 1 and 2 axes",
    ],
    [
      'labels of another shape',
      () => softmaxCrossEntropyLoss(x, indices([3], [0, 1, 2])),
      'the labels must have the shape of the scores without axis 1',
    ],
  ])('%s', (_, build, sentence) => {
    expect(build).toThrow(sentence)
  })

  it('the gradient at class weights', () => {
    const weights = graph.input('weights', 'float32', [4])
    const { loss } = softmaxCrossEntropyLoss(x, indices([2], [0, 1]), { weights })
    expect(() => gradients([{ value: loss }], [weights])).toThrow(
      'the gradient at the class weights is not supported',
    )
  })
})
