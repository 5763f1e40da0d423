import type { OpDefinition } from '../graph/graph.js'
import { broadcast } from '../graph/shape.js'
import { defineOp, required } from './define-op.js'
import { binary, unary } from './operands.js'

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

const predicate = (name: string): OpDefinition =>
  defineOp({
    name,
    infer: inputs => [{ dtype: 'bool', shape: required(inputs, 0).shape }],
    gradient: 'zero',
  })

export const Equal = comparison('Equal')
export const Greater = comparison('Greater')
export const GreaterOrEqual = comparison('GreaterOrEqual')
export const Less = comparison('Less')
export const LessOrEqual = comparison('LessOrEqual')
export const And = comparison('And')
export const Or = comparison('Or')
export const Not = predicate('Not')
export const IsNaN = predicate('IsNaN')

/** Element-wise, broadcasting; the result is bool. */
export const equal = binary(Equal)
export const greater = binary(Greater)
export const greaterOrEqual = binary(GreaterOrEqual)
export const less = binary(Less)
export const lessOrEqual = binary(LessOrEqual)
/** Of bool operands. */
export const and = binary(And)
export const or = binary(Or)
export const not = unary(Not)

export const comparisons: readonly OpDefinition[] = [
  Equal,
  Greater,
  GreaterOrEqual,
  Less,
  LessOrEqual,
  And,
  Or,
  Not,
  IsNaN,
]
