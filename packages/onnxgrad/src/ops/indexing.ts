import type { OpDefinition, Value } from '../graph/graph.js'
import { axisOf } from '../graph/shape.js'
import { type Shape, sizeOf } from '../graph/tensor.js'
import { defineOp, int, integers, required, vector } from './define-op.js'
import { add, mul, neg } from './elementwise.js'
import { addressed, checkIndices, elementAxis, flatPlaces } from './indices.js'
import { expand, pad, zeros } from './layout.js'
import { reduceSum } from './reduction.js'
import { reshape } from './reshaping.js'
import { ArgMax } from './selection.js'

/**
 * The elements of x at the given places of an axis, which the axes of `indices` replace. Negative places count
 * from the end. Throws GraphError for a constant index outside the axis.
 * @param indices int64 or int32 of any shape; plain numbers become a constant, and one number drops the axis.
 */
export function gather(x: Value, indices: Value | number | readonly number[], axis = 0): Value {
  const at =
    typeof indices === 'number'
      ? x.graph.constant('int64', [], [indices])
      : isNumbers(indices)
        ? vector(x, indices)
        : indices
  return x.graph.apply(Gather, [x, at], { axis })[0]!
}

/** y[…, i, …] = x[…, indices[…, i, …], …] along an axis. `indices` has as many axes as x; so has y, of its shape. */
export function gatherElements(x: Value, indices: Value, axis = 0): Value {
  return x.graph.apply(GatherElements, [x, indices], { axis })[0]!
}

/** The slices of x at the index tuples that the last axis of `indices` holds. */
export function gatherND(x: Value, indices: Value): Value {
  return x.graph.apply(GatherND, [x, indices])[0]!
}

/**
 * x with `updates` put at, or with 'add' added to, the places that `gatherElements` would read. Without 'add' no
 * place may be named twice.
 */
export function scatterElements(
  x: Value,
  indices: Value,
  updates: Value,
  axis = 0,
  reduction: 'none' | 'add' = 'none',
): Value {
  return x.graph.apply(ScatterElements, [x, indices, updates], { axis, reduction })[0]!
}

const isNumbers = (indices: Value | readonly number[]): indices is readonly number[] => Array.isArray(indices)

/**
 * Sums the rows of dy (A, I, B) into (A, length, B): row i into the row that indices[i] names. The adjoint of
 * gathering rows.
 *
 * Where the indices are constants, every row of the result gathers the rows that belong to it, filled up with a
 * row of zeros: that runs in parallel, in an order that is fixed on every execution provider, and its table is far
 * smaller than a one-hot matrix. Scattered additions are left for indices that are only known at run time,
 * and for those of which one is so frequent that filling up would cost more.
 */
function sumRows(dy: Value, indices: Value, length: number): Value {
  const [outer, count, inner] = dy.shape as [number, number, number]
  if (indices.data) {
    const sources = Array.from({ length }, (): number[] => [])
    integers(indices).forEach((at, i) => {
      sources[at < 0 ? at + length : at]!.push(i)
    })
    const most = sources.reduce((longest, rows) => Math.max(longest, rows.length), 1)
    // A permutation's adjoint is the opposite permutation.
    if (most === 1 && length === count) return gather(dy, sources.flat(), 1)
    if (most === 1 || most * length <= 4 * count) {
      const table = sources.flatMap(rows => [...rows, ...new Array<number>(most - rows.length).fill(count)])
      const padded = pad(dy, [0, 0, 0], [0, 1, 0])
      const gathered = gather(padded, dy.graph.constant('int64', [length, most], table), 1)
      return most === 1 ? reshape(gathered, [outer, length, inner]) : reduceSum(gathered, [2])
    }
  }
  const places = expand(reshape(indices, [1, count, 1]), [outer, count, inner])
  return scatterElements(zeros(dy.graph, dy.dtype, [outer, length, inner]), places, dy, 1, 'add')
}

const constant = (x: Value, shape: Shape, values: readonly number[]) =>
  x.graph.constant('int64', shape, values)

export const Gather: OpDefinition = defineOp({
  name: 'Gather',
  attributes: { axis: 'int' },
  infer(inputs, attributes) {
    const [x, indices] = [required(inputs, 0), required(inputs, 1)]
    const axis = axisOf(int(attributes, 'axis', 0), x.shape.length)
    checkIndices(indices, x.shape[axis]!, axis)
    return [{ dtype: x.dtype, shape: x.shape.toSpliced(axis, 1, ...indices.shape) }]
  },
  gradient({ inputs: [x, indices], gradients: [dy], attributes }) {
    const shape = x!.shape
    const axis = axisOf(int(attributes, 'axis', 0), shape.length)
    const [outer, inner] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))]
    const rows = reshape(dy!, [outer, sizeOf(indices!.shape), inner])
    return [reshape(sumRows(rows, indices!, shape[axis]!), shape)]
  },
  cases: [
    { name: 'one place', inputs: [[3, 2]], build: (_, [x]) => gather(x!, -1, 1) },
    { name: 'a permutation', inputs: [[3, 2]], build: (_, [x]) => gather(x!, [2, -3, 1]) },
    { name: 'some rows, each once', inputs: [[4, 2]], build: (_, [x]) => gather(x!, [3, 1]) },
    { name: 'repeated rows', inputs: [[3, 2]], build: (_, [x]) => gather(x!, [2, 0, 2, -1]) },
    {
      name: 'a table of indices along an inner axis',
      inputs: [[2, 3, 2]],
      build: (_, [x]) => gather(x!, constant(x!, [2, 2], [0, 2, -3, 0]), -2),
    },
    { name: 'one place very often', inputs: [[9, 2]], build: (_, [x]) => gather(x!, [4, 4, -5, 4, 0]) },
    {
      name: 'indices known at run time',
      inputs: [[2, 4]],
      build: (graph, [x]) => {
        const last = graph.apply(ArgMax, [constant(x!, [2, 3], [1, 2, 0, 0, 1, 2])], { axis: 1 })[0]!
        return gather(x!, last, 1)
      },
    },
    { name: 'fan-out', inputs: [[3]], build: (_, [x]) => mul(gather(x!, [1, 1, 0]), x!) },
  ],
})

export const GatherElements: OpDefinition = defineOp({
  name: 'GatherElements',
  attributes: { axis: 'int' },
  infer(inputs, attributes) {
    const [x, indices] = [required(inputs, 0), required(inputs, 1)]
    elementAxis(x, indices, attributes)
    return [{ dtype: x.dtype, shape: indices.shape }]
  },
  gradient: ({ graph, inputs: [x, indices], gradients: [dy], attributes }) => [
    scatterElements(zeros(graph, dy!.dtype, x!.shape), indices!, dy!, int(attributes, 'axis', 0), 'add'),
  ],
  cases: [
    {
      name: 'rows, with repetition',
      inputs: [[3, 2]],
      build: (_, [x]) => gatherElements(x!, constant(x!, [4, 2], [0, 2, 0, 1, -1, 1, 0, 1])),
    },
    {
      name: 'columns, fewer rows than the input',
      inputs: [[3, 3]],
      build: (_, [x]) => gatherElements(x!, constant(x!, [2, 2], [0, 2, -1, -1]), -1),
    },
  ],
})

export const ScatterElements: OpDefinition = defineOp({
  name: 'ScatterElements',
  attributes: { axis: 'int', reduction: 'string' },
  infer(inputs, attributes) {
    const [x, indices, updates] = [required(inputs, 0), required(inputs, 1), required(inputs, 2)]
    const reduction = attributes.reduction ?? 'none'
    if (reduction !== 'none' && reduction !== 'add')
      throw new Error(`reduction '${reduction}' is not supported; use 'none' or 'add'`)
    if (updates.dtype !== x.dtype) throw new Error(`types differ: ${x.dtype} and ${updates.dtype}`)
    if (updates.shape.join() !== indices.shape.join())
      throw new Error('the indices and the updates differ in shape')
    elementAxis(x, indices, attributes)
    return [{ dtype: x.dtype, shape: x.shape }]
  },
  gradient({ graph, inputs: [, indices, updates], gradients: [dy], attributes, wants }) {
    const axis = int(attributes, 'axis', 0)
    const kept = () =>
      attributes.reduction === 'add'
        ? dy!
        : scatterElements(dy!, indices!, zeros(graph, dy!.dtype, updates!.shape), axis)
    return [wants(0) ? kept() : null, null, wants(2) ? gatherElements(dy!, indices!, axis) : null]
  },
  cases: [
    {
      name: 'replaced',
      inputs: [
        [3, 3],
        [2, 2],
      ],
      build: (_, [x, updates]) => scatterElements(x!, constant(x!, [2, 2], [0, 2, -1, 1]), updates!, 1),
    },
    {
      name: 'added, with repetition',
      inputs: [
        [3, 2],
        [3, 2],
      ],
      build: (_, [x, updates]) =>
        scatterElements(x!, constant(x!, [3, 2], [0, 2, 0, 2, -1, 1]), updates!, 0, 'add'),
    },
    {
      name: 'fan-out',
      inputs: [[3]],
      build: (_, [x]) => add(scatterElements(x!, constant(x!, [3], [2, 0, 1]), mul(x!, x!)), x!),
    },
  ],
})

export const GatherND: OpDefinition = defineOp({
  name: 'GatherND',
  attributes: { batch_dims: 'int' },
  infer(inputs, attributes) {
    const [x, indices] = [required(inputs, 0), required(inputs, 1)]
    if (int(attributes, 'batch_dims', 0) !== 0) throw new Error('batch_dims other than 0 are not supported')
    if (indices.dtype !== 'int64') throw new Error(`the indices must be int64, not ${indices.dtype}`)
    const depth = addressed(x, indices).length
    return [{ dtype: x.dtype, shape: [...indices.shape.slice(0, -1), ...x.shape.slice(depth)] }]
  },
  gradient({ inputs: [x, indices], gradients: [dy] }) {
    const lengths = addressed(x!, indices!)
    const places = flatPlaces(indices!, lengths)
    const inner = sizeOf(x!.shape.slice(lengths.length))
    const rows = reshape(dy!, [1, sizeOf(places.shape), inner])
    return [reshape(sumRows(rows, places, sizeOf(lengths)), x!.shape)]
  },
  cases: [
    {
      name: 'elements, with repetition',
      inputs: [[2, 3]],
      build: (_, [x]) => gatherND(x!, constant(x!, [3, 2], [1, 0, 0, -1, 1, 0])),
    },
    {
      name: 'rows',
      inputs: [[2, 2, 3]],
      build: (_, [x]) => gatherND(x!, constant(x!, [2, 1, 2], [1, 0, -1, -2])),
    },
    {
      name: 'indices known at run time',
      inputs: [[2, 3]],
      build: (_, [x]) => {
        const tuples = neg(constant(x!, [3, 2], [1, 3, 0, 1, 1, 3]))
        return gatherND(x!, tuples)
      },
    },
  ],
})

export const ScatterND: OpDefinition = defineOp({
  name: 'ScatterND',
  attributes: { reduction: 'string' },
  infer(inputs, { reduction }) {
    const [x, indices, updates] = [required(inputs, 0), required(inputs, 1), required(inputs, 2)]
    if ((reduction ?? 'none') !== 'none') throw new Error(`reduction '${reduction}' is not supported`)
    if (updates.dtype !== x.dtype) throw new Error(`types differ: ${x.dtype} and ${updates.dtype}`)
    const depth = addressed(x, indices).length
    const shape = [...indices.shape.slice(0, -1), ...x.shape.slice(depth)]
    if (updates.shape.join() !== shape.join()) {
      throw new Error(`updates must have shape [${shape.join(', ')}], not [${updates.shape.join(', ')}]`)
    }
    return [{ dtype: x.dtype, shape: x.shape }]
  },
  gradient({ graph, inputs: [, indices, updates], gradients: [dy], wants }) {
    const none = () => zeros(graph, dy!.dtype, updates!.shape)
    return [
      wants(0) ? graph.apply(ScatterND, [dy!, indices!, none()])[0]! : null,
      null,
      wants(2) ? gatherND(dy!, indices!) : null,
    ]
  },
  cases: [
    {
      name: 'elements',
      inputs: [[2, 3], [2]],
      build: (graph, [x, updates]) =>
        graph.apply(ScatterND, [x!, constant(x!, [2, 2], [1, 0, 0, -1]), updates!])[0]!,
    },
    {
      name: 'rows',
      inputs: [
        [3, 2],
        [2, 2],
      ],
      build: (graph, [x, updates]) =>
        graph.apply(ScatterND, [x!, constant(x!, [2, 1], [2, 0]), updates!])[0]!,
    },
  ],
})

export const indexings: readonly OpDefinition[] = [
  Gather,
  GatherElements,
  ScatterElements,
  GatherND,
  ScatterND,
]
