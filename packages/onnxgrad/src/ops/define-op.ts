import type { Attributes, OpDefinition, Value } from '../graph/graph.js'

/**
 * Declares an operator: its ONNX name, its shape rule and, where there is one, its gradient rule. What is applied with
 * `graph.apply` needs no other registration.
 */
export function defineOp(
  definition: Omit<OpDefinition, 'attributes' | 'cases'> & Partial<OpDefinition>,
): OpDefinition {
  return { attributes: {}, cases: [], ...definition }
}

/** Input i, which must be there. */
export function required(inputs: readonly (Value | null)[], i: number): Value {
  const value = inputs[i]
  if (!value) throw new Error(`input ${i} is missing`)
  return value
}

/** A constant int64 vector in the graph of x: how operators take axes, shapes and bounds. */
export function vector(x: Value, values: readonly number[]): Value {
  return x.graph.constant('int64', [values.length], values)
}

/** The integers of a constant int64 or int32 input. Throws where the input is not a constant, or of another type. */
export function integers(value: Value): number[] {
  const numbers = constantNumbers(value)
  if (value.dtype !== 'int64' && value.dtype !== 'int32')
    throw new Error(`'${value.name}' is ${value.dtype}, where integers are expected`)
  return numbers
}

/** The values of a constant input of any type. Throws where it is not a constant. */
export function constantNumbers(value: Value): number[] {
  if (!value.data) throw new Error(`'${value.name}' must be a constant`)
  return Array.from(value.data, Number)
}

export function ints(attributes: Attributes, name: string): number[] | undefined {
  return attributes[name] as number[] | undefined
}

export function int(attributes: Attributes, name: string, otherwise: number): number {
  return (attributes[name] as number | undefined) ?? otherwise
}
