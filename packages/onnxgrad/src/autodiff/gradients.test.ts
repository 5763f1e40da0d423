import { afterAll, describe, expect, it } from 'vitest'
import { Graph, type Value } from '../graph/graph.js'
import type { Shape } from '../graph/tensor.js'
import { relu } from '../ops/activation.js'
import { add, exp, mul, sign } from '../ops/elementwise.js'
import { MatMul, matmul } from '../ops/matrix-product.js'
import { reduceSum } from '../ops/reduction.js'
import { topK } from '../ops/selection.js'
import { startRuntime } from '../runtime/node/index.js'
import { evaluate, numbers } from '../testing/evaluate.js'
import { gradients } from './gradients.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const sum = (x: Value) =>
  reduceSum(
    x,
    x.shape.map((_, i) => i),
  )
const input = (graph: Graph, name: string, shape: Shape = []) => graph.input(name, 'float64', shape)

async function values(graph: Graph, parts: readonly (Value | null)[], feeds: Record<string, number[]>) {
  parts.forEach((part, i) => {
    if (part) graph.output(`part${i}`, part)
  })
  const got = await evaluate(runtime, graph, feeds)
  return parts.map((part, i) => part && numbers(got[`part${i}`]))
}

describe('gradients', () => {
  it('adds up over every path from a value that is used more than once', async () => {
    const graph = new Graph()
    const x = input(graph, 'x')
    const square = mul(x, x)
    // x²·x² + x² + x: 4x³ + 2x + 1
    const objective = add(add(mul(square, square), square), x)
    expect(await values(graph, gradients([{ value: objective }], [x]), { x: [3] })).toEqual([[115]])
  })

  it('differentiates at inputs, constants and inner values at once', async () => {
    const graph = new Graph()
    const x = input(graph, 'x', [2])
    const weight = graph.initializer('weight', 'float64', [2], Float64Array.of(5, 7))
    const inner = mul(x, weight)
    const objective = sum(mul(inner, inner))
    const got = await values(graph, gradients([{ value: objective }], [x, weight, inner, objective]), {
      x: [2, 3],
    })
    // inner = [10, 21]; 2·inner = [20, 42]
    expect(got).toEqual([[100, 294], [40, 126], [20, 42], [1]])
  })

  it('continues a gradient through one value alone, all else held constant', async () => {
    const graph = new Graph()
    const x = input(graph, 'x')
    const gate = mul(x, x)
    const objective = mul(gate, exp(x))
    const [pull] = gradients([{ value: objective }], [gate])
    const [through] = gradients([{ value: gate, seed: pull! }], [x])
    const [whole] = gradients([{ value: objective }], [x])
    const [got, total] = await values(graph, [through!, whole!], { x: [0.5] })
    // Through the gate: eˣ·2x; the other path would add x²·eˣ.
    expect(got![0]).toBeCloseTo(Math.exp(0.5), 12)
    expect(total![0]).toBeCloseTo(1.25 * Math.exp(0.5), 12)
  })

  it('weighs objectives by their seeds', async () => {
    const graph = new Graph()
    const x = input(graph, 'x', [2])
    const seed = graph.constant('float64', [2], [10, -1])
    const objectives = [{ value: mul(x, x), seed }, { value: sum(x) }]
    expect(await values(graph, gradients(objectives, [x]), { x: [1, 2] })).toEqual([[21, -3]])
  })

  it('sums over the axes along which an operand was repeated', async () => {
    const graph = new Graph()
    const [row, column] = [input(graph, 'row', [3]), input(graph, 'column', [2, 1])]
    const got = gradients([{ value: sum(mul(row, column)) }], [row, column])
    expect(got.map(g => g!.shape)).toEqual([[3], [2, 1]])
    expect(await values(graph, got, { row: [1, 2, 3], column: [10, 20] })).toEqual([
      [30, 30, 30],
      [6, 6],
    ])
  })

  it('gives null where no path leads, or only one that is constant almost everywhere', () => {
    const graph = new Graph()
    const [x, apart, stepped] = ['x', 'apart', 'stepped'].map(name => input(graph, name, [2])) as [
      Value,
      Value,
      Value,
    ]
    const later = exp(x)
    const objective = sum(mul(x, sign(stepped)))
    const labels = graph.input('labels', 'int64', [2])
    const got = gradients([{ value: objective }], [x, apart, stepped, later, labels])
    expect(got.map(part => part !== null)).toEqual([true, false, false, false, false])
  })

  it('builds nothing for what is not asked', () => {
    const graph = new Graph()
    const [a, b] = [input(graph, 'a', [2, 2]), input(graph, 'b', [2, 2])]
    const product = matmul(a, b)
    const before = graph.nodes.length
    gradients([{ value: sum(product) }], [a])
    const products = graph.nodes.slice(before).filter(node => node.definition === MatMul)
    expect(products.length).toBe(1)
  })
})

describe('what cannot be differentiated', () => {
  it('names the node, its operator and the path that needs it', () => {
    const graph = new Graph()
    const x = graph.input('picture', 'float32', [4])
    const top = graph.within('selection', () => topK(relu(x), 2))
    const objective = sum(top)
    const message =
      `node '${top.producer!.name}': TopK has no gradient, and the path from 'picture' to ` +
      `'${objective.name}' needs it`
    expect(top.producer!.name).toMatch(/^selection\/TopK_/)
    expect(() => gradients([{ value: objective }], [x])).toThrow(message)
  })

  it('does not matter off the path', () => {
    const graph = new Graph()
    const [x, other] = [graph.input('x', 'float32', [2]), graph.input('other', 'float32', [4])]
    const objective = sum(mul(x, topK(other, 2)))
    expect(gradients([{ value: objective }], [x])[0]).not.toBeNull()
    expect(() => gradients([{ value: objective }], [other])).toThrow(/TopK has no gradient/)
  })

  it('wants a seed of the right shape for what is no scalar', () => {
    const graph = new Graph()
    const x = input(graph, 'x', [2, 3])
    expect(() => gradients([{ value: x }], [x])).toThrow("'x' float64[2, 3] needs a seed")
    const seed = graph.constant('float64', [3], [1, 1, 1])
    expect(() => gradients([{ value: x, seed }], [x])).toThrow(
      "the seed float64[3] does not fit 'x' float64[2, 3]",
    )
  })
})
