import { describe, expect, it } from 'vitest'
import { add, mul } from '../ops/elementwise.js'
import { Transpose } from '../ops/layout.js'
import { MatMul, matmul } from '../ops/matrix-product.js'
import { Graph, GraphError } from './graph.js'
import { axesOf, axisOf, broadcast, broadcastAxes } from './shape.js'

describe('a mistake is reported where it is written', () => {
  const graph = new Graph()
  const a = graph.input('a', 'float32', [2, 3])
  const b = graph.input('b', 'float32', [4, 5])
  const whole = graph.input('whole', 'int64', [2, 3])

  it('names the node, what came and what does not fit', () => {
    expect(() => graph.within('block1', () => matmul(a, b))).toThrow(
      /^node 'block1\/MatMul_\d+' \(MatMul\) of \(a float32\[2, 3\], b float32\[4, 5\]\): inner dimensions differ: 3 and 4$/,
    )
    expect(() => add(a, b)).toThrow(/shapes \[2, 3\] and \[4, 5\] do not broadcast/)
    expect(() => add(a, whole)).toThrow(/types differ: float32 and int64/)
    expect(() => graph.apply(Transpose, [a], { perm: [0, 0] })).toThrow(/\[0, 0\] is not an order of 2 axes/)
    expect(() => graph.apply(MatMul, [a, null])).toThrow(/of \(a float32\[2, 3\], —\): input 1 is missing/)
  })

  it('leaves the graph as it was', () => {
    const before = graph.nodes.length
    expect(() => matmul(a, b)).toThrow(GraphError)
    expect(graph.nodes.length).toBe(before)
  })

  it('refuses values of another graph', () => {
    const foreign = new Graph().input('foreign', 'float32', [2, 3])
    expect(() => add(a, foreign)).toThrow(/'foreign' is of another graph/)
    expect(() => graph.output('foreign', foreign)).toThrow(/'foreign' is of another graph/)
  })

  it('refuses names that are taken', () => {
    expect(() => graph.input('a', 'float32', [])).toThrow("the name 'a' is taken")
    expect(() => graph.initializer('a', 'float32', [1], Float32Array.of(1))).toThrow("the name 'a' is taken")
    const sum = add(a, 1)
    graph.output('sum', sum)
    expect(() => graph.output('sum', a)).toThrow("output 'sum' is there twice")
    // The model file has one space of names: an output called like another value would make it invalid.
    expect(() => graph.output('a', sum)).toThrow("the name 'a' is taken")
    expect(() => graph.input('sum', 'float32', [])).toThrow("the name 'sum' is taken")
  })

  it('refuses shapes that are none and data that do not fill theirs', () => {
    expect(() => graph.input('c', 'float32', [2, -1])).toThrow("'c' cannot have shape [2, -1]")
    expect(() => graph.input('c', 'float32', [1.5])).toThrow("'c' cannot have shape [1.5]")
    expect(() => graph.initializer('c', 'float32', [2, 2], new Float32Array(3))).toThrow(
      "constant 'c': shape [2, 2] does not hold 3 values",
    )
  })
})

describe('constants', () => {
  it('are shared where small and equal in type, shape and value', () => {
    const graph = new Graph()
    const one = graph.constant('float32', [], [1])
    expect(graph.constant('float32', [], [1])).toBe(one)
    expect(graph.constant('float64', [], [1])).not.toBe(one)
    expect(graph.constant('float32', [1], [1])).not.toBe(one)
    expect(graph.constant('float32', [], [2])).not.toBe(one)
  })
})

describe('scopes', () => {
  it('nest, and end where the function does, thrown or not', () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2])
    const inner = graph.within('outer', () => graph.within('inner', () => mul(x, x)))
    expect(inner.name).toMatch(/^outer\/inner\/Mul_/)
    expect(() =>
      graph.within('outer', () => {
        throw new Error('stop')
      }),
    ).toThrow('stop')
    expect(mul(x, x).name).toMatch(/^Mul_/)
  })
})

describe('shapes', () => {
  it('broadcast as in numpy', () => {
    expect(broadcast([4, 1, 3], [2, 1])).toEqual([4, 2, 3])
    expect(broadcast([], [2])).toEqual([2])
    expect(broadcast([0, 1], [1, 5])).toEqual([0, 5])
    expect(broadcast([2, 3], [3, 2])).toBeNull()
  })

  it('tell along which axes a tensor was repeated', () => {
    expect(broadcastAxes([2, 1], [4, 2, 3])).toEqual([0, 2])
    expect(broadcastAxes([1, 3], [1, 3])).toEqual([])
    expect(broadcastAxes([], [2, 2])).toEqual([0, 1])
  })

  it('count axes from either end', () => {
    expect(axisOf(-1, 3)).toBe(2)
    expect(axesOf([2, -3, 0], 3)).toEqual([0, 2])
    expect(() => axisOf(3, 3)).toThrow('axis 3 is outside a tensor of rank 3')
    expect(() => axisOf(-4, 3)).toThrow(RangeError)
  })
})
