import { type DType, dtypeNumbered, dtypes, isFloat } from '../graph/dtype.js'
import type { OpDefinition, Value } from '../graph/graph.js'
import { defineOp, int, required } from './define-op.js'

/** Converts to another element type. */
export function cast(x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : x.graph.apply(Cast, [x], { to: dtypes[dtype].onnx })[0]!
}

export const Cast: OpDefinition = defineOp({
  name: 'Cast',
  attributes: { to: 'int' },
  infer(inputs, attributes) {
    const to = int(attributes, 'to', 0)
    const dtype = dtypeNumbered(to)
    if (!dtype) throw new Error(`type number ${to} is not one that can be cast to`)
    return [{ dtype, shape: required(inputs, 0).shape }]
  },
  gradient: ({ inputs: [x], gradients: [dy] }) => [isFloat(x!.dtype) ? cast(dy!, x!.dtype) : null],
  cases: [
    {
      name: 'to float64 and back',
      inputs: [[2, 3]],
      dtype: 'float32',
      build: (_, [x]) => cast(cast(x!, 'float64'), 'float32'),
    },
  ],
})
