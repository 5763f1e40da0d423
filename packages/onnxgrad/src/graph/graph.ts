import { arrayOf, type DType, type TensorData } from './dtype.js'
import { type Shape, showType, sizeOf, type TensorType } from './tensor.js'

// A graph, its values, its nodes and the definitions of their operators know each other, so their types are in one
// file. Which operators there are, a graph does not know: whoever applies one brings its definition.

/** An ONNX attribute. Whether a number is written as INT or FLOAT is said by the operator's definition. */
export type Attribute = number | string | readonly number[]
export type Attributes = Readonly<Record<string, Attribute>>

/** How an attribute is written to ONNX. */
export type AttributeKind = 'int' | 'ints' | 'float' | 'string'

/** A tensor in a graph: an input, a constant, or an output of a node. */
export interface Value extends TensorType {
  readonly graph: Graph
  readonly name: string
  /** The node that computes it; null for inputs and constants. */
  readonly producer: Node | null
  /** The data of a constant; null otherwise. */
  readonly data: TensorData | null
}

/** One application of an operator. */
export interface Node {
  readonly name: string
  readonly definition: OpDefinition
  /** null where an optional input is left out. */
  readonly inputs: readonly (Value | null)[]
  readonly attributes: Attributes
  readonly outputs: readonly Value[]
}

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
  /** ONNX name, verbatim; with `domain:` before it outside the standard domain: `com.microsoft:FusedMatMul`. */
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

/** A fault in how a graph was put together: the message names the node, what was expected and what came. */
export class GraphError extends Error {
  override name = 'GraphError'
}

/**
 * An ONNX graph under construction. Nodes are appended in topological order; every value's type and shape is
 * inferred as it is made, so a mistake is reported where it is written.
 */
export class Graph {
  readonly inputs: Value[] = []
  readonly nodes: Node[] = []
  /** Name of an output → the value it delivers. */
  readonly outputs = new Map<string, Value>()
  readonly #names = new Set<string>()
  readonly #constants = new Map<string, Value>()
  #scope = ''

  /** A tensor fed at every run. Throws GraphError if the name is taken. */
  input(name: string, dtype: DType, shape: Shape): Value {
    const value = this.#value(name, dtype, shape, null, null)
    this.inputs.push(value)
    return value
  }

  /** A named constant: a weight baked into the graph. `data` is not copied. */
  initializer(name: string, dtype: DType, shape: Shape, data: TensorData): Value {
    if (data.length !== sizeOf(shape)) {
      throw new GraphError(
        `constant '${name}': shape [${shape.join(', ')}] does not hold ${data.length} values`,
      )
    }
    return this.#value(name, dtype, shape, null, data)
  }

  /** `name`, or where it is taken a name that begins so. */
  unused(name: string): string {
    return this.#names.has(name) ? this.#fresh(name) : name
  }

  /** A constant from plain numbers; equal small constants are one value. */
  constant(dtype: DType, shape: Shape, values: ArrayLike<number | bigint>): Value {
    const key = values.length <= 64 ? `${dtype}/${shape.join(',')}/${Array.from(values).join(',')}` : null
    const known = key === null ? undefined : this.#constants.get(key)
    if (known) return known
    const value = this.initializer(this.#fresh('const'), dtype, shape, arrayOf(dtype, values))
    if (key !== null) this.#constants.set(key, value)
    return value
  }

  /** Applies an operator and returns its outputs. Throws GraphError naming the node where its rule refuses. */
  apply(
    definition: OpDefinition,
    inputs: readonly (Value | null)[],
    attributes: Attributes = {},
  ): readonly Value[] {
    const op = definition.name
    const name = this.#fresh(op.slice(op.indexOf(':') + 1))
    for (const input of inputs) {
      if (input && input.graph !== this)
        throw new GraphError(`node '${name}': '${input.name}' is of another graph`)
    }
    let types: readonly TensorType[]
    try {
      types = definition.infer(inputs, attributes)
    } catch (error) {
      const came = inputs.map(input => (input ? `${input.name} ${showType(input)}` : '—')).join(', ')
      throw new GraphError(`node '${name}' (${op}) of (${came}): ${(error as Error).message}`)
    }
    const node: Node & { outputs: readonly Value[] } = { name, definition, inputs, attributes, outputs: [] }
    node.outputs = types.map((type, i) =>
      this.#value(i === 0 ? `${name}_out` : `${name}_out${i}`, type.dtype, type.shape, node, null),
    )
    this.nodes.push(node)
    return node.outputs
  }

  /** Delivers `value` under `name`, which no other value of the graph may have. */
  output(name: string, value: Value): void {
    if (value.graph !== this) throw new GraphError(`output '${name}': '${value.name}' is of another graph`)
    if (this.outputs.has(name)) throw new GraphError(`output '${name}' is there twice`)
    if (name !== value.name && this.#names.has(name)) throw new GraphError(`the name '${name}' is taken`)
    this.#names.add(name)
    this.outputs.set(name, value)
  }

  /** Names made inside `build` begin with `scope/`, so that a profile shows where a node comes from. */
  within<T>(scope: string, build: () => T): T {
    const outer = this.#scope
    this.#scope = `${outer}${scope}/`
    try {
      return build()
    } finally {
      this.#scope = outer
    }
  }

  #fresh(stem: string): string {
    // A copied graph brings names of its own.
    for (let n = this.#names.size; ; n++) {
      const name = `${this.#scope}${stem}_${n}`
      if (!this.#names.has(name)) return name
    }
  }

  #value(name: string, dtype: DType, shape: Shape, producer: Node | null, data: TensorData | null): Value {
    if (this.#names.has(name)) throw new GraphError(`the name '${name}' is taken`)
    if (!shape.every(dim => Number.isSafeInteger(dim) && dim >= 0)) {
      throw new GraphError(`'${name}' cannot have shape [${shape.join(', ')}]`)
    }
    this.#names.add(name)
    return { graph: this, name, dtype, shape, producer, data }
  }
}
