import type { Attributes, Value } from '../graph/graph.js'
import { axisOf } from '../graph/shape.js'
import { type Shape, sizeOf } from '../graph/tensor.js'
import { int, integers, vector } from './define-op.js'
import { mod, mul } from './elementwise.js'
import { reduceSum } from './reduction.js'
import { reshape } from './reshaping.js'

// What the operators that gather and scatter have in common: their indices are checked, or reckoned with.

function checkIndex(at: number, length: number, axis: number): void {
  if (at < -length || at >= length) throw new Error(`index ${at} is outside axis ${axis} of length ${length}`)
}

/** That indices are integers and, where they are constants, lie within an axis; others are left to the runtime. */
export function checkIndices(indices: Value, length: number, axis: number): void {
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32')
    throw new Error(`the indices must be int64 or int32, not ${indices.dtype}`)
  if (indices.data) for (const at of integers(indices)) checkIndex(at, length, axis)
}

/** The axis of an operator that addresses single elements, after a check that indices fit x outside it. */
export function elementAxis(x: Value, indices: Value, attributes: Attributes): number {
  const axis = axisOf(int(attributes, 'axis', 0), x.shape.length)
  if (
    indices.shape.length !== x.shape.length ||
    indices.shape.some((dim, i) => i !== axis && dim > x.shape[i]!)
  ) {
    throw new Error(`indices of shape [${indices.shape.join(', ')}] do not fit within the input`)
  }
  checkIndices(indices, x.shape[axis]!, axis)
  return axis
}

/** Lengths of the axes that the tuples of GatherND address, after a check that constant ones lie within them. */
export function addressed(x: Value, indices: Value): Shape {
  const depth = indices.shape.at(-1)
  if (depth === undefined || depth < 1 || depth > x.shape.length)
    throw new Error(`tuples of ${depth} indices do not fit ${x.shape.length} axes`)
  const lengths = x.shape.slice(0, depth)
  if (indices.data)
    integers(indices).forEach((at, i) => {
      checkIndex(at, lengths[i % depth]!, i % depth)
    })
  return lengths
}

/** The index tuples (…, depth) as places in the flattened leading axes: (tuples). */
export function flatPlaces(indices: Value, lengths: Shape): Value {
  const strides = lengths.map((_, i) => sizeOf(lengths.slice(i + 1)))
  const tuples = sizeOf(indices.shape.slice(0, -1))
  if (indices.data) {
    const all = integers(indices)
    const places = Array.from({ length: tuples }, (_, t) =>
      lengths.reduce((place, dim, i) => {
        const at = all[t * lengths.length + i]!
        return place + (at < 0 ? at + dim : at) * strides[i]!
      }, 0),
    )
    return vector(indices, places)
  }
  const positive = mod(indices, vector(indices, lengths))
  return reshape(reduceSum(mul(positive, vector(indices, strides)), [-1]), [tuples])
}
