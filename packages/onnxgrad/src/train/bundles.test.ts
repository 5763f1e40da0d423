import { describe, expect, it } from 'vitest'
import { bundleData, bundles, unbundleData } from './bundles.js'
import type { ParameterSpec } from './parameters.js'

const specs: Record<string, ParameterSpec> = {
  'a.weight': { shape: [4, 3], decay: true },
  'a.bias': { shape: [4], decay: false },
  'b.weight': { shape: [2, 3], decay: true },
  'b.bias': { shape: [2], decay: false },
  slow: { shape: [5, 3], decay: true, rate: 0.5 },
  other: { shape: [3, 4], decay: true },
  scale: { shape: [], decay: false },
  factor: { shape: [], decay: false },
}
const names = Object.keys(specs)
const membersOf = (given: Record<string, ParameterSpec>) =>
  bundles(given, Object.keys(given)).map(({ members }) => members)

describe('bundles', () => {
  it('are parameters of one treatment whose rows have one length', () => {
    expect(membersOf(specs)).toEqual([
      ['a.weight', 'b.weight'],
      ['a.bias', 'b.bias'],
      ['slow'],
      ['other'],
      ['scale'],
      ['factor'],
    ])
    expect(bundles(specs, names)[0]).toEqual({
      name: 'bundle.0',
      members: ['a.weight', 'b.weight'],
      shape: [6, 3],
      rows: [4, 2],
      decay: true,
      rate: 1,
    })
  })

  it('leave out what is not trained', () => {
    expect(bundles(specs, ['b.weight', 'scale']).map(({ members }) => members)).toEqual([
      ['b.weight'],
      ['scale'],
    ])
  })

  it('join neighbours alone, as many as fit into caches', () => {
    const large = { shape: [2 ** 11, 2 ** 7], decay: true }
    expect(membersOf({ a: large, b: large, c: large, d: large, e: large })).toEqual([
      ['a', 'b'],
      ['c', 'd'],
      ['e'],
    ])
    const huge = { shape: [2 ** 20, 1], decay: true }
    const small = { shape: [1, 1], decay: true }
    expect(membersOf({ a: small, b: huge, c: small })).toEqual([['a'], ['b'], ['c']])
  })

  it('give back the arrays that they were made of', () => {
    const data = Object.fromEntries(
      Object.entries(specs).map(([name, { shape }], i) => [
        name,
        Float32Array.from({ length: shape.reduce((n, dim) => n * dim, 1) }, (_, j) => 100 * i + j),
      ]),
    )
    const parts = bundles(specs, names).map(one => unbundleData(one, specs, bundleData(one, data)))
    expect(Object.assign({}, ...parts)).toEqual(data)
  })
})
