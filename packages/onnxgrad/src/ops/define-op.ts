import type { Graph } from '../graph/graph.js'
import type { Attributes, Shape, TensorType, Value } from '../graph/types.js'

/** How an attribute is written to ONNX. */
export type AttributeKind = 'int' | 'ints' | 'float' | 'string'

/** What a gradient rule is given. */
export interface GradientContext {
  readonly graph: Graph
  readonly inputs: readonly (Value | null)[]
  readonly outputs: readonly Value[]
  readonly attributes: Attributes
  /** Gradient of the objective at each output; null where the output does not matter to it. */
  readonly gradients: readonly (Value | null)[]
  /** Whether input i's gradient is wanted; a rule may leave the others out. */
  wants(i: number): boolean
}

/**
 * A gradient rule: one gradient an input, null where there is none. A gradient may have the shape that the
 * input was broadcast to: the walk sums it back, once for all rules.
 */
export type GradientRule = (context: GradientContext) => readonly (Value | null)[]

/** A conformance case: a small application of the operator whose gradient is compared with central differences. */
export interface OpCase {
  readonly name: string
  /** Shapes of the float inputs. */
  readonly inputs: readonly Shape[]
  /** Checked in this precision only. Default: double where the runtime has the kernels. */
  readonly dtype?: 'float32'
  /** Inputs are drawn uniformly from this range; keep clear of kinks. Default [−1, 1]. */
  readonly range?: readonly [number, number]
  /** Draws well apart from each other, for operators that choose (ReduceMax, Min): multiples of a step. */
  readonly distinct?: boolean
  /** Builds the application; default: the operator with `attributes` on all inputs. */
  readonly build?: (graph: Graph, inputs: readonly Value[]) => Value
  readonly attributes?: Attributes
}

/** Everything the package knows of one operator. */
export interface OpDefinition {
  /** ONNX name, verbatim; with `domain:` before it outside the standard domain. */
  readonly name: string
  readonly attributes: Readonly<Record<string, AttributeKind>>
  /** Outputs behind these are written only where something reads them. Default: all are written. */
  readonly requiredOutputs?: number | ((attributes: Attributes) => number)
  /** Types of the outputs. Throws an Error that says what is wrong with the inputs. */
  readonly infer: (inputs: readonly (Value | null)[], attributes: Attributes) => readonly TensorType[]
  /** Absent: not differentiable (an error names the node). `zero`: constant almost everywhere, passes nothing. */
  readonly gradient?: GradientRule | 'zero'
  readonly cases: readonly OpCase[]
}

/** Declares an operator. */
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
