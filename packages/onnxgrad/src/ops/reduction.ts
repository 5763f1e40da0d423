import type { GradientRule, OpDefinition, Value } from '../graph/graph.js'
import { axesOf, axisOf } from '../graph/shape.js'
import { cast } from './cast.js'
import { equal } from './comparison.js'
import { defineOp, int, integers, ints, required } from './define-op.js'
import { div, exp, mul, sign, sub } from './elementwise.js'
import { expand } from './layout.js'
import { reshape } from './reshaping.js'
import { where } from './where.js'

interface ReduceOptions {
  /** Keep the reduced axes with length 1. Default false. */
  keep?: boolean
}

// Until opset 18 the axes of these are an attribute; ReduceSum takes an input since opset 13.
const reduce =
  (definition: OpDefinition) =>
  (x: Value, axes: readonly number[], options: ReduceOptions = {}) =>
    x.graph.apply(definition, [x], { axes, keepdims: options.keep ? 1 : 0 })[0]!

/** Sum over the given axes. */
export function reduceSum(x: Value, axes: readonly number[], options: ReduceOptions = {}): Value {
  if (axes.length === 0) return x
  const constant = x.graph.constant('int64', [axes.length], axes)
  return x.graph.apply(ReduceSum, [x, constant], { keepdims: options.keep ? 1 : 0 })[0]!
}

/** Sums of x up to each element of an axis: from its start, or from its end with `reverse`. */
export function cumSum(
  x: Value,
  axis: number,
  options: {
    /** Leave the element itself out of its sum. Default false. */
    exclusive?: boolean
    reverse?: boolean
  } = {},
): Value {
  const attributes = { exclusive: options.exclusive ? 1 : 0, reverse: options.reverse ? 1 : 0 }
  return x.graph.apply(CumSum, [x, x.graph.constant('int64', [], [axis])], attributes)[0]!
}

function reducedAxes(
  inputs: readonly (Value | null)[],
  attributes: Readonly<Record<string, unknown>>,
): number[] {
  const x = required(inputs, 0)
  const axes = inputs[1] ? integers(inputs[1]) : ints(attributes as never, 'axes')
  return axes ? axesOf(axes, x.shape.length) : x.shape.map((_, i) => i)
}

/** A gradient rule that is given dy (and y) with the reduced axes restored as length 1. */
const withAxesKept =
  (rule: (x: Value, y: Value, dy: Value, count: number) => Value): GradientRule =>
  ({ inputs, outputs: [y], gradients: [dy], attributes }) => {
    const x = inputs[0]!
    const axes = reducedAxes(inputs, attributes)
    const kept = x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim))
    const count = axes.reduce((n, axis) => n * x.shape[axis]!, 1)
    return [rule(x, reshape(y!, kept), reshape(dy!, kept), count)]
  }

function reduction(name: string, gradient: GradientRule | null, distinct = false): OpDefinition {
  const call = (x: Value, axes: number[], options?: ReduceOptions) =>
    definition === ReduceSum ? reduceSum(x, axes, options) : reduce(definition)(x, axes, options)
  const definition: OpDefinition = defineOp({
    name,
    attributes: { axes: 'ints', keepdims: 'int' },
    infer(inputs, attributes) {
      const x = required(inputs, 0)
      const axes = reducedAxes(inputs, attributes)
      const keep = int(attributes, 'keepdims', 1) === 1
      const shape = x.shape.flatMap((dim, i) => (axes.includes(i) ? (keep ? [1] : []) : [dim]))
      return [{ dtype: x.dtype, shape }]
    },
    ...(gradient && { gradient }),
    cases: [
      { name: 'last axis', inputs: [[2, 3]], distinct, build: (_, [x]) => call(x!, [1]) },
      {
        name: 'negative axis, kept',
        inputs: [[2, 3, 2]],
        distinct,
        build: (_, [x]) => call(x!, [-2], { keep: true }),
      },
      { name: 'several axes', inputs: [[2, 3, 2]], distinct, build: (_, [x]) => call(x!, [0, 2]) },
      {
        name: 'all axes',
        inputs: [[2, 3]],
        distinct,
        build: (graph, [x]) => graph.apply(definition, [x!])[0]!,
      },
      {
        name: 'fan-out',
        inputs: [[2, 3]],
        distinct,
        build: (_, [x]) => mul(call(x!, [1], { keep: true }), x!),
      },
    ],
  })
  return definition
}

/** The elements that attained an extremum share its gradient. */
const extremum = withAxesKept((x, y, dy) => {
  const hit = cast(equal(x, y), x.dtype)
  const axes = x.shape.flatMap((dim, i) => (y.shape[i] === 1 && dim !== 1 ? [i] : []))
  return mul(hit, div(dy, reduceSum(hit, axes, { keep: true })))
})

export const ReduceSum: OpDefinition = reduction(
  'ReduceSum',
  withAxesKept((x, _, dy) => expand(dy, x.shape)),
)
export const ReduceMean: OpDefinition = reduction(
  'ReduceMean',
  withAxesKept((x, _, dy, count) => expand(mul(dy, 1 / count), x.shape)),
)
export const ReduceSumSquare: OpDefinition = reduction(
  'ReduceSumSquare',
  withAxesKept((x, _, dy) => mul(mul(x, 2), dy)),
)
export const ReduceMax: OpDefinition = reduction('ReduceMax', extremum, true)
export const ReduceMin: OpDefinition = reduction('ReduceMin', extremum, true)
export const ReduceL1: OpDefinition = reduction(
  'ReduceL1',
  withAxesKept((x, _, dy) => mul(dy, sign(x))),
)
export const ReduceL2: OpDefinition = reduction(
  'ReduceL2',
  withAxesKept((x, y, dy) => {
    const zero = x.graph.constant(x.dtype, [], [0])
    return mul(dy, where(equal(y, zero), zero, div(x, y)))
  }),
)
export const ReduceLogSumExp: OpDefinition = reduction(
  'ReduceLogSumExp',
  withAxesKept((x, y, dy) => mul(dy, exp(sub(x, y)))),
)
// Products are taken of the lengths in shapes. A rule by y / x would not hold where an element is 0.
export const ReduceProd: OpDefinition = reduction('ReduceProd', null)

export const CumSum: OpDefinition = defineOp({
  name: 'CumSum',
  attributes: { exclusive: 'int', reverse: 'int' },
  infer(inputs) {
    const x = required(inputs, 0)
    axisOf(integers(required(inputs, 1))[0]!, x.shape.length)
    return [{ dtype: x.dtype, shape: x.shape }]
  },
  gradient: ({ graph, inputs: [, axis], gradients: [dy], attributes }) => [
    graph.apply(CumSum, [dy!, axis!], { ...attributes, reverse: 1 - int(attributes, 'reverse', 0) })[0]!,
  ],
  cases: [
    { name: 'rows', inputs: [[2, 4]], build: (_, [x]) => cumSum(x!, -1) },
    { name: 'exclusive', inputs: [[3, 2]], build: (_, [x]) => cumSum(x!, 0, { exclusive: true }) },
    {
      name: 'exclusive, from the end',
      inputs: [[4]],
      build: (_, [x]) => cumSum(x!, 0, { exclusive: true, reverse: true }),
    },
    { name: 'fan-out', inputs: [[4]], build: (_, [x]) => mul(cumSum(x!, 0), x!) },
  ],
})

export const reduceMean = reduce(ReduceMean)
export const reduceMax = reduce(ReduceMax)
export const reduceMin = reduce(ReduceMin)
export const reduceSumSquare = reduce(ReduceSumSquare)
/** Sum of magnitudes. */
export const reduceL1 = reduce(ReduceL1)
/** Euclidean norm; its gradient at a vector of zeros is taken as 0. */
export const reduceL2 = reduce(ReduceL2)
/** log Σ eˣ, computed without overflow. */
export const reduceLogSumExp = reduce(ReduceLogSumExp)

export const reductions: readonly OpDefinition[] = [
  ReduceSum,
  ReduceMean,
  ReduceSumSquare,
  ReduceMax,
  ReduceMin,
  ReduceL1,
  ReduceL2,
  ReduceLogSumExp,
  ReduceProd,
  CumSum,
]
