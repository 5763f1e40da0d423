import { type Shape, sameShape, sizeOf, type Value } from '../graph/types.js'
import { defineOp, integers, type OpDefinition, required, vector } from './define-op.js'
import { mul } from './elementwise.js'

/** The same elements in another shape. */
export function reshape(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : x.graph.apply('Reshape', [x, vector(x, shape)])[0]!
}

export const reshapings: OpDefinition[] = [
  defineOp({
    name: 'Reshape',
    infer(inputs) {
      const x = required(inputs, 0)
      const wanted = integers(required(inputs, 1)).map((dim, i) => (dim === 0 ? (x.shape[i] ?? 0) : dim))
      const known = wanted.reduce((size, dim) => (dim === -1 ? size : size * dim), 1)
      const shape = wanted.map(dim => (dim === -1 ? sizeOf(x.shape) / known : dim))
      if (sizeOf(shape) !== sizeOf(x.shape)) throw new Error(`cannot take the shape [${wanted.join(', ')}]`)
      return [{ dtype: x.dtype, shape }]
    },
    gradient: ({ inputs: [x], gradients: [dy] }) => [reshape(dy!, x!.shape)],
    cases: [
      { name: 'to a vector', inputs: [[2, 3]], build: (_, [x]) => reshape(x!, [6]) },
      {
        name: 'fan-out',
        inputs: [[2, 3]],
        build: (_, [x]) => mul(reshape(x!, [3, 2]), reshape(mul(x!, x!), [3, 2])),
      },
    ],
  }),
]
