import type { DType } from '../graph/dtype.js'
import type { Graph, OpDefinition, Value } from '../graph/graph.js'
import { axisOf, broadcast } from '../graph/shape.js'
import { type Shape, sameShape } from '../graph/tensor.js'
import { defineOp, int, integers, ints, required, vector } from './define-op.js'
import { add, mul } from './elementwise.js'
import { reshape } from './reshaping.js'

/** Axis i of the result is axis perm[i] of x. */
export function transpose(x: Value, perm: readonly number[]): Value {
  return perm.every((axis, i) => axis === i) ? x : x.graph.apply(Transpose, [x], { perm })[0]!
}

/** Transposes the last two axes. */
export function swapLast(x: Value): Value {
  const rank = x.shape.length
  const perm = Array.from({ length: rank }, (_, i) => i)
  perm[rank - 1] = rank - 2
  perm[rank - 2] = rank - 1
  return transpose(x, perm)
}

export function concat(values: readonly Value[], axis: number): Value {
  return values.length === 1 ? values[0]! : values[0]!.graph.apply(Concat, values, { axis })[0]!
}

/** Parts of x along an axis: so many equal ones, or one of every given length. */
export function split(x: Value, parts: number | readonly number[], axis = 0): readonly Value[] {
  const dim = x.shape[axisOf(axis, x.shape.length)]!
  const lengths = typeof parts === 'number' ? new Array<number>(parts).fill(Math.floor(dim / parts)) : parts
  return x.graph.apply(Split, [x, vector(x, lengths)], { axis })
}

/**
 * Elements [starts, ends) along the given axes, every `steps`-th. A negative step goes backwards; an end below
 * −length then lets the first element in.
 */
export function slice(
  x: Value,
  axes: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
  steps?: readonly number[],
): Value {
  const bounds = [vector(x, starts), vector(x, ends), vector(x, axes), ...(steps ? [vector(x, steps)] : [])]
  return x.graph.apply(Slice, [x, ...bounds])[0]!
}

/** Adds `before[i]` and `after[i]` elements of `value` around axis i; negative counts cut elements off. */
export function pad(x: Value, before: readonly number[], after: readonly number[], value = 0): Value {
  if ([...before, ...after].every(n => n === 0)) return x
  return x.graph.apply(Pad, [x, vector(x, [...before, ...after]), x.graph.constant(x.dtype, [], [value])])[0]!
}

/** Repeats x to a shape that it broadcasts to. */
export function expand(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : x.graph.apply(Expand, [x, vector(x, shape)])[0]!
}

/** A tensor of zeros that takes no room in the model file. */
export function zeros(graph: Graph, dtype: DType, shape: Shape): Value {
  return expand(graph.constant(dtype, [], [0]), shape)
}

/** Start, step and count of every sliced axis, as numpy reads them. */
export function bounds(inputs: readonly (Value | null)[]) {
  const x = required(inputs, 0)
  const [starts, ends] = [integers(required(inputs, 1)), integers(required(inputs, 2))]
  const axes = inputs[3] ? integers(inputs[3]) : starts.map((_, i) => i)
  const steps = inputs[4] ? integers(inputs[4]) : starts.map(() => 1)
  return axes.map((given, i) => {
    const axis = axisOf(given, x.shape.length)
    const dim = x.shape[axis]!
    const step = steps[i]!
    if (step === 0) throw new Error(`the step along axis ${axis} must not be 0`)
    // Backwards, the place before the first element is a bound as the one after the last is forwards.
    const [first, last] = step > 0 ? [0, dim] : [-1, dim - 1]
    const within = (at: number) => Math.min(last, Math.max(first, at < 0 ? at + dim : at))
    const [start, end] = [within(starts[i]!), within(ends[i]!)]
    return { axis, start, step, count: Math.max(0, Math.ceil((end - start) / step)) }
  })
}

/** Puts step − 1 zeros after every element of an axis: the adjoint of taking every step-th element. */
function dilate(x: Value, axis: number, step: number): Value {
  const apart = [...x.shape.slice(0, axis + 1), 1, ...x.shape.slice(axis + 1)]
  const after = apart.map((_, i) => (i === axis + 1 ? step - 1 : 0))
  const wide = pad(
    reshape(x, apart),
    apart.map(() => 0),
    after,
  )
  return reshape(
    wide,
    x.shape.map((dim, i) => (i === axis ? dim * step : dim)),
  )
}

export const Transpose: OpDefinition = defineOp({
  name: 'Transpose',
  attributes: { perm: 'ints' },
  infer(inputs, attributes) {
    const x = required(inputs, 0)
    const perm = ints(attributes, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i)
    if ([...perm].sort((a, b) => a - b).some((axis, i) => axis !== i) || perm.length !== x.shape.length) {
      throw new Error(`[${perm.join(', ')}] is not an order of ${x.shape.length} axes`)
    }
    return [{ dtype: x.dtype, shape: perm.map(axis => x.shape[axis]!) }]
  },
  gradient({ inputs: [x], gradients: [dy], attributes }) {
    const perm = ints(attributes, 'perm') ?? x!.shape.map((_, i) => x!.shape.length - 1 - i)
    return [
      transpose(
        dy!,
        perm.map((_, i) => perm.indexOf(i)),
      ),
    ]
  },
  cases: [
    { name: 'default', inputs: [[2, 3, 4]] },
    { name: 'cyclic', inputs: [[2, 3, 4]], attributes: { perm: [2, 0, 1] } },
    { name: 'a value and its transpose', inputs: [[3, 3]], build: (_, [x]) => mul(x!, swapLast(x!)) },
  ],
})

export const Concat: OpDefinition = defineOp({
  name: 'Concat',
  attributes: { axis: 'int' },
  infer(inputs, attributes) {
    const first = required(inputs, 0)
    const axis = axisOf(int(attributes, 'axis', 0), first.shape.length)
    const total = inputs.reduce((sum, x) => sum + x!.shape[axis]!, 0)
    for (const x of inputs) {
      if (
        !sameShape(x!.shape.toSpliced(axis, 1), first.shape.toSpliced(axis, 1)) ||
        x!.dtype !== first.dtype
      ) {
        throw new Error(`inputs differ outside axis ${axis}`)
      }
    }
    return [{ dtype: first.dtype, shape: first.shape.with(axis, total) }]
  },
  gradient({ inputs, gradients: [dy], attributes, wants }) {
    const axis = axisOf(int(attributes, 'axis', 0), dy!.shape.length)
    let at = 0
    return inputs.map((x, i) => {
      const start = at
      at += x!.shape[axis]!
      return wants(i) ? slice(dy!, [axis], [start], [at]) : null
    })
  },
  cases: [
    {
      name: 'rows',
      inputs: [
        [2, 3],
        [1, 3],
      ],
      attributes: { axis: 0 },
    },
    {
      name: 'negative axis',
      inputs: [
        [2, 3],
        [2, 1],
        [2, 2],
      ],
      attributes: { axis: -1 },
    },
    { name: 'one value twice', inputs: [[2, 3]], build: (_, [x]) => concat([x!, mul(x!, x!), x!], 1) },
  ],
})

export const Split: OpDefinition = defineOp({
  name: 'Split',
  attributes: { axis: 'int' },
  infer(inputs, attributes) {
    const x = required(inputs, 0)
    const axis = axisOf(int(attributes, 'axis', 0), x.shape.length)
    const dim = x.shape[axis]!
    const lengths = integers(required(inputs, 1))
    if (!lengths.every(length => length >= 0) || lengths.reduce((a, b) => a + b, 0) !== dim) {
      throw new Error(`lengths [${lengths.join(', ')}] do not add up to the ${dim} of axis ${axis}`)
    }
    return lengths.map(length => ({ dtype: x.dtype, shape: x.shape.with(axis, length) }))
  },
  gradient({ graph, outputs, gradients, attributes }) {
    const parts = outputs.map(({ dtype, shape }, i) => gradients[i] ?? zeros(graph, dtype, shape))
    return [concat(parts, int(attributes, 'axis', 0))]
  },
  cases: [
    {
      name: 'equal parts, all used',
      inputs: [[4, 3]],
      build: (_, [x]) => mul(...(split(x!, 2) as [Value, Value])),
    },
    {
      name: 'lengths, the middle part unused',
      inputs: [[2, 6]],
      build(_, [x]) {
        const [first, , last] = split(x!, [1, 3, 2], -1)
        return mul(first!, last!)
      },
    },
    { name: 'one part used', inputs: [[2, 6]], build: (_, [x]) => split(x!, 3, 1)[1]! },
  ],
})

export const Slice: OpDefinition = defineOp({
  name: 'Slice',
  infer(inputs) {
    const x = required(inputs, 0)
    let shape = x.shape
    for (const { axis, count } of bounds(inputs)) shape = shape.with(axis, count)
    return [{ dtype: x.dtype, shape }]
  },
  gradient({ inputs, gradients: [dy] }) {
    const x = inputs[0]!
    const before = x.shape.map(() => 0)
    const after = x.shape.map(() => 0)
    let spread = dy!
    for (const { axis, start, step, count } of bounds(inputs)) {
      if (step < 0) spread = slice(spread, [axis], [-1], [-count - 1], [-1])
      const stride = Math.abs(step)
      if (stride > 1) spread = dilate(spread, axis, stride)
      before[axis] = step < 0 ? start + (count - 1) * step : start
      after[axis] = x.shape[axis]! - before[axis] - spread.shape[axis]!
    }
    return [pad(spread, before, after)]
  },
  cases: [
    { name: 'one axis', inputs: [[4, 3]], build: (_, [x]) => slice(x!, [0], [1], [3]) },
    { name: 'negative axis and bounds', inputs: [[2, 5]], build: (_, [x]) => slice(x!, [-1], [-4], [-1]) },
    { name: 'steps', inputs: [[5, 4]], build: (_, [x]) => slice(x!, [0, 1], [0, 1], [5, 4], [2, 2]) },
    { name: 'backwards', inputs: [[4, 2]], build: (_, [x]) => slice(x!, [0], [-1], [-9], [-1]) },
    {
      name: 'backwards in steps',
      inputs: [[7, 4]],
      build: (_, [x]) => slice(x!, [0, 1], [5, 3], [0, 0], [-2, -3]),
    },
    {
      name: 'overlapping slices',
      inputs: [[4]],
      build: (_, [x]) => mul(slice(x!, [0], [0], [3]), slice(x!, [0], [1], [4])),
    },
  ],
})

export const Pad: OpDefinition = defineOp({
  name: 'Pad',
  attributes: { mode: 'string' },
  infer(inputs, { mode }) {
    const x = required(inputs, 0)
    if (mode && mode !== 'constant') throw new Error(`mode '${mode}' is not supported; use 'constant'`)
    const pads = integers(required(inputs, 1))
    const rank = x.shape.length
    if (pads.length !== 2 * rank) throw new Error(`${pads.length} pads do not fit ${rank} axes`)
    return [{ dtype: x.dtype, shape: x.shape.map((dim, i) => dim + pads[i]! + pads[i + rank]!) }]
  },
  gradient({ inputs, gradients: [dy] }) {
    const pads = integers(inputs[1]!).map(n => -n)
    const rank = inputs[0]!.shape.length
    return [pad(dy!, pads.slice(0, rank), pads.slice(rank))]
  },
  cases: [
    { name: 'around', inputs: [[2, 3]], build: (_, [x]) => pad(x!, [1, 0], [0, 2]) },
    { name: 'cutting', inputs: [[3, 4]], build: (_, [x]) => pad(x!, [-1, 1], [0, -2]) },
  ],
})

export const Expand: OpDefinition = defineOp({
  name: 'Expand',
  infer(inputs) {
    const x = required(inputs, 0)
    const shape = broadcast(x.shape, integers(required(inputs, 1)))
    if (!shape) throw new Error('the input does not broadcast to the wanted shape')
    return [{ dtype: x.dtype, shape }]
  },
  gradient: ({ gradients: [dy] }) => [dy!],
  cases: [
    { name: 'new axes', inputs: [[2, 1]], build: (_, [x]) => expand(x!, [3, 2, 4]) },
    { name: 'fan-out', inputs: [[1, 2]], build: (_, [x]) => add(expand(mul(x!, x!), [3, 2]), x!) },
  ],
})

export const layout: readonly OpDefinition[] = [Transpose, Concat, Split, Slice, Pad, Expand]
