import { isFloat } from '../graph/dtype.js'
import type { OpDefinition, Value } from '../graph/graph.js'
import { axisOf } from '../graph/shape.js'
import { defineOp, int, integers, required } from './define-op.js'
import { mul } from './elementwise.js'

/** The k largest values along the last axis, in descending order. */
export function topK(x: Value, k: number): Value {
  return x.graph.apply(TopK, [x, x.graph.constant('int64', [1], [k])], {
    axis: -1,
    largest: 1,
    sorted: 1,
  })[0]!
}

/** Index (int64) of the largest value along an axis, which is dropped; the first one among equals. */
export function argMax(x: Value, axis = -1): Value {
  return x.graph.apply(ArgMax, [x], { axis, keepdims: 0 })[0]!
}

/** x above (upper) or below its k-th diagonal, that one included; zeros elsewhere. Of the last two axes. */
export function trilu(x: Value, options: { upper: boolean; k?: number }): Value {
  const k = x.graph.constant('int64', [], [options.k ?? 0])
  return x.graph.apply(Trilu, [x, k], { upper: options.upper ? 1 : 0 })[0]!
}

export const TopK: OpDefinition = defineOp({
  name: 'TopK',
  attributes: { axis: 'int', largest: 'int', sorted: 'int' },
  infer(inputs, attributes) {
    const x = required(inputs, 0)
    const axis = axisOf(int(attributes, 'axis', -1), x.shape.length)
    const [k] = integers(required(inputs, 1))
    if (k === undefined || k > x.shape[axis]!)
      throw new Error(`there are no ${k} elements along axis ${axis}`)
    if (!isFloat(x.dtype)) throw new Error(`the input must be of a float type, not ${x.dtype}`)
    const shape = x.shape.with(axis, k)
    return [
      { dtype: x.dtype, shape },
      { dtype: 'int64', shape },
    ]
  },
})

export const ArgMax: OpDefinition = defineOp({
  name: 'ArgMax',
  attributes: { axis: 'int', keepdims: 'int', select_last_index: 'int' },
  infer(inputs, attributes) {
    const x = required(inputs, 0)
    const axis = axisOf(int(attributes, 'axis', 0), x.shape.length)
    const kept = int(attributes, 'keepdims', 1) === 1
    return [{ dtype: 'int64', shape: kept ? x.shape.with(axis, 1) : x.shape.toSpliced(axis, 1) }]
  },
  gradient: 'zero',
})

export const Trilu: OpDefinition = defineOp({
  name: 'Trilu',
  attributes: { upper: 'int' },
  infer(inputs) {
    const x = required(inputs, 0)
    if (x.shape.length < 2) throw new Error('the input needs two axes or more')
    return [{ dtype: x.dtype, shape: x.shape }]
  },
  gradient: ({ graph, inputs: [, k], gradients: [dy], attributes }) => [
    graph.apply(Trilu, k ? [dy!, k] : [dy!], attributes)[0]!,
  ],
  cases: [
    { name: 'upper by default', inputs: [[3, 4]] },
    { name: 'lower', inputs: [[2, 3, 3]], build: (_, [x]) => trilu(x!, { upper: false, k: -1 }) },
    {
      name: 'above the diagonal',
      inputs: [[3, 3]],
      build: (_, [x]) => mul(trilu(x!, { upper: true, k: 1 }), x!),
    },
  ],
})

export const selections: readonly OpDefinition[] = [TopK, ArgMax, Trilu]
