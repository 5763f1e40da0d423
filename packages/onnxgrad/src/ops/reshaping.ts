import type { GradientRule, OpDefinition, Value } from '../graph/graph.js'
import { axesOf, axisOf } from '../graph/shape.js'
import { type Shape, sameShape, sizeOf } from '../graph/tensor.js'
import { defineOp, int, integers, required, vector } from './define-op.js'
import { mul } from './elementwise.js'

/** The same elements in another shape. */
export function reshape(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : x.graph.apply(Reshape, [x, vector(x, shape)])[0]!
}

/** Without the given axes, which must have length 1; default: without every axis of length 1. */
export function squeeze(x: Value, axes?: readonly number[]): Value {
  return x.graph.apply(Squeeze, axes ? [x, vector(x, axes)] : [x])[0]!
}

/** With new axes of length 1 at the given places of the result. */
export function unsqueeze(x: Value, axes: readonly number[]): Value {
  return x.graph.apply(Unsqueeze, [x, vector(x, axes)])[0]!
}

/** A matrix: the axes before `axis` become its rows, the others its columns. */
export function flatten(x: Value, axis = 1): Value {
  return x.graph.apply(Flatten, [x], { axis })[0]!
}

const backToInput: GradientRule = ({ inputs: [x], gradients: [dy] }) => [reshape(dy!, x!.shape)]

export const Reshape: OpDefinition = defineOp({
  name: 'Reshape',
  infer(inputs) {
    const x = required(inputs, 0)
    const wanted = integers(required(inputs, 1)).map((dim, i) => (dim === 0 ? (x.shape[i] ?? 0) : dim))
    const known = wanted.reduce((size, dim) => (dim === -1 ? size : size * dim), 1)
    const shape = wanted.map(dim => (dim === -1 ? sizeOf(x.shape) / known : dim))
    if (sizeOf(shape) !== sizeOf(x.shape)) throw new Error(`cannot take the shape [${wanted.join(', ')}]`)
    return [{ dtype: x.dtype, shape }]
  },
  gradient: backToInput,
  cases: [
    { name: 'to a vector', inputs: [[2, 3]], build: (_, [x]) => reshape(x!, [6]) },
    {
      name: 'fan-out',
      inputs: [[2, 3]],
      build: (_, [x]) => mul(reshape(x!, [3, 2]), reshape(mul(x!, x!), [3, 2])),
    },
  ],
})

export const Squeeze: OpDefinition = defineOp({
  name: 'Squeeze',
  infer(inputs) {
    const x = required(inputs, 0)
    const axes = inputs[1]
      ? axesOf(integers(inputs[1]), x.shape.length)
      : x.shape.flatMap((dim, i) => (dim === 1 ? [i] : []))
    const long = axes.find(axis => x.shape[axis] !== 1)
    if (long !== undefined) throw new Error(`axis ${long} has length ${x.shape[long]}, not 1`)
    return [{ dtype: x.dtype, shape: x.shape.filter((_, i) => !axes.includes(i)) }]
  },
  gradient: backToInput,
  cases: [
    { name: 'given axes', inputs: [[1, 2, 1, 3]], build: (_, [x]) => squeeze(x!, [0, -2]) },
    { name: 'every axis of length 1', inputs: [[1, 3, 1]] },
    { name: 'fan-out', inputs: [[3, 1]], build: (_, [x]) => mul(squeeze(x!, [1]), x!) },
  ],
})

export const Unsqueeze: OpDefinition = defineOp({
  name: 'Unsqueeze',
  infer(inputs) {
    const x = required(inputs, 0)
    const axes = integers(required(inputs, 1))
    const rank = x.shape.length + axes.length
    const places = axesOf(axes, rank)
    if (places.length !== axes.length) throw new Error(`axes [${axes.join(', ')}] name one axis twice`)
    const dims = x.shape.values()
    const shape = Array.from({ length: rank }, (_, i) => (places.includes(i) ? 1 : dims.next().value!))
    return [{ dtype: x.dtype, shape }]
  },
  gradient: backToInput,
  cases: [
    { name: 'around', inputs: [[2, 3]], build: (_, [x]) => unsqueeze(x!, [0, -1]) },
    { name: 'in between', inputs: [[2, 3]], build: (_, [x]) => unsqueeze(x!, [1]) },
    { name: 'fan-out', inputs: [[3]], build: (_, [x]) => mul(unsqueeze(x!, [1]), x!) },
  ],
})

export const Flatten: OpDefinition = defineOp({
  name: 'Flatten',
  attributes: { axis: 'int' },
  infer(inputs, attributes) {
    const x = required(inputs, 0)
    const given = int(attributes, 'axis', 1)
    const rank = x.shape.length
    const axis = given === rank ? rank : axisOf(given, rank)
    return [{ dtype: x.dtype, shape: [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))] }]
  },
  gradient: backToInput,
  cases: [
    { name: 'default axis', inputs: [[2, 3, 2]] },
    { name: 'first axis', inputs: [[2, 3]], attributes: { axis: 0 } },
    { name: 'negative axis', inputs: [[2, 3, 2]], attributes: { axis: -1 } },
    { name: 'past the last axis', inputs: [[2, 3]], attributes: { axis: 2 } },
  ],
})

export const reshapings: readonly OpDefinition[] = [Reshape, Squeeze, Unsqueeze, Flatten]
