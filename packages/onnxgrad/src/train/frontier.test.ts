import { describe, expect, it } from 'vitest'
import { Graph } from '../graph/graph.js'
import { add, mul } from '../ops/elementwise.js'
import { linear, matmul } from '../ops/matrix-product.js'
import { reduceMean } from '../ops/reduction.js'
import { frontierOf } from './frontier.js'

describe('the frontier', () => {
  it('is what parameters alone decide where the batch comes in', () => {
    const graph = new Graph()
    const input = (name: string, shape: number[]) => graph.input(name, 'float32', shape)
    const [w, scale, shift, bias, frozen] = [
      input('w', [3, 4]),
      input('scale', [4]),
      input('shift', [4]),
      input('bias', [3]),
      input('frozen', [3]),
    ] as const
    const x = input('x', [2, 4])
    const from = graph.nodes.length
    const weight = mul(w, scale)
    const joint = add(matmul(w, shift), mul(bias, frozen))
    // Of the frozen one alone: nothing is to be learned of it.
    const untrained = mul(frozen, 2)
    const y = add(linear(x, weight, joint), untrained)
    const loss = reduceMean(mul(y, mul(y, bias)), [0, 1])
    const found = frontierOf(graph, from, { trained: [w, scale, shift, bias], others: [frozen], loss })
    expect(new Set(found.values)).toEqual(new Set([weight, joint, bias]))
    expect(found.moving.has(weight.producer!)).toBe(false)
    expect(found.moving.has(y.producer!)).toBe(true)
  })

  it('is the loss where no batch comes in', () => {
    const graph = new Graph()
    const w = graph.input('w', 'float32', [2])
    const loss = reduceMean(mul(w, w), [0])
    const found = frontierOf(graph, 0, { trained: [w], others: [], loss })
    expect([found.values, found.moving.size]).toEqual([[loss], 0])
  })
})
