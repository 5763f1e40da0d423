import { broadcast } from '../graph/shape.js'
import { defineOp, type OpDefinition, required } from './define-op.js'

const comparison = (name: string): OpDefinition =>
  defineOp({
    name,
    infer(inputs) {
      const [a, b] = [required(inputs, 0), required(inputs, 1)]
      if (a.dtype !== b.dtype) throw new Error(`types differ: ${a.dtype} and ${b.dtype}`)
      const shape = broadcast(a.shape, b.shape)
      if (!shape) throw new Error('the shapes do not broadcast')
      return [{ dtype: 'bool', shape }]
    },
    gradient: 'zero',
  })

export const comparisons: OpDefinition[] = [
  ...['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'And', 'Or'].map(comparison),
  ...['Not', 'IsNaN'].map(name =>
    defineOp({
      name,
      infer: inputs => [{ dtype: 'bool', shape: required(inputs, 0).shape }],
      gradient: 'zero',
    }),
  ),
]
