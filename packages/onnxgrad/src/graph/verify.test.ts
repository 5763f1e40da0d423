import { describe, expect, it } from 'vitest'
import { add, mul } from '../ops/elementwise.js'
import { Graph } from './graph.js'
import { verify } from './verify.js'

/** (x + 1)², with every part at hand to be broken: what a graph's own methods would not let through. */
function squared() {
  const graph = new Graph()
  const x = graph.input('x', 'float32', [2])
  const sum = add(x, 1)
  const square = mul(sum, sum)
  graph.output('y', square)
  return { graph, x, sum, square }
}

describe('verify', () => {
  it('accepts a sound graph', () => expect(() => verify(squared().graph)).not.toThrow())

  it('finds a value that is used before it is defined', () => {
    const { graph, sum, square } = squared()
    graph.nodes.reverse()
    expect(() => verify(graph)).toThrow(
      `node '${square.producer!.name}' uses '${sum.name}' before it is defined`,
    )
  })

  it('finds an output whose node is gone', () => {
    const { graph } = squared()
    graph.nodes.pop()
    expect(() => verify(graph)).toThrow("output 'y' is not computed")
  })

  it('finds a type that is not what the operator gives', () => {
    const { graph, square } = squared()
    Object.assign(square, { shape: [3] })
    expect(() => verify(graph)).toThrow(/output 0 is float32\[3\] but should be float32\[2\]/)
    Object.assign(square, { shape: [2], dtype: 'int64' })
    expect(() => verify(graph)).toThrow(/output 0 is int64\[2\] but should be float32\[2\]/)
  })

  it('finds a name that is there twice', () => {
    const { graph, x, square } = squared()
    Object.assign(square, { name: x.name })
    expect(() => verify(graph)).toThrow("the name 'x' is there twice")
  })

  it('wants an output', () => {
    const { graph } = squared()
    graph.outputs.clear()
    expect(() => verify(graph)).toThrow('the graph has no output')
  })
})
