import type { OpDefinition, Value } from '../graph/graph.js'
import { broadcast } from '../graph/shape.js'
import type { TensorType } from '../graph/tensor.js'

/** A value, or a number that becomes a scalar constant of the other operand's type. */
export type Operand = Value | number

/** Two operands as values. Throws Error if both are numbers. */
export function pair(a: Operand, b: Operand): [Value, Value] {
  if (typeof a !== 'number') return [a, typeof b === 'number' ? a.graph.constant(a.dtype, [], [b]) : b]
  if (typeof b !== 'number') return [b.graph.constant(b.dtype, [], [a]), b]
  throw new Error('one operand must be a value of a graph')
}

/** The function that applies an element-wise operator of two operands, which broadcast. */
export const binary =
  (definition: OpDefinition) =>
  (a: Operand, b: Operand): Value => {
    const [x, y] = pair(a, b)
    return x.graph.apply(definition, [x, y])[0]!
  }

/** The function that applies an operator of one operand. */
export const unary =
  (definition: OpDefinition) =>
  (x: Value): Value =>
    x.graph.apply(definition, [x])[0]!

/** The type of an element-wise result: the operands' own, of the shape that they broadcast to. Throws Error. */
export function broadcastAll(inputs: readonly (Value | null)[]): TensorType[] {
  const [first, ...others] = inputs as Value[]
  if (!first) throw new Error('at least one input is needed')
  let shape = first.shape
  for (const other of others) {
    if (other.dtype !== first.dtype) throw new Error(`types differ: ${first.dtype} and ${other.dtype}`)
    const joint = broadcast(shape, other.shape)
    if (!joint)
      throw new Error(`shapes [${shape.join(', ')}] and [${other.shape.join(', ')}] do not broadcast`)
    shape = joint
  }
  return [{ dtype: first.dtype, shape }]
}
