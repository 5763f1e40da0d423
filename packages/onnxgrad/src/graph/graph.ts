import { opFor } from '../ops/registry.js'
import {
  type Attributes,
  arrayOf,
  type DType,
  type Node,
  type Shape,
  showType,
  sizeOf,
  type TensorData,
  type Value,
} from './types.js'

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
  apply(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}): readonly Value[] {
    const name = this.#fresh(op.slice(op.indexOf(':') + 1))
    const definition = opFor(op)
    if (!definition) throw new GraphError(`node '${name}': operator ${op} is not known`)
    for (const input of inputs) {
      if (input && input.graph !== this)
        throw new GraphError(`node '${name}': '${input.name}' is of another graph`)
    }
    let types: ReturnType<typeof definition.infer>
    try {
      types = definition.infer(inputs, attributes)
    } catch (error) {
      const came = inputs.map(input => (input ? `${input.name} ${showType(input)}` : '—')).join(', ')
      throw new GraphError(`node '${name}' (${op}) of (${came}): ${(error as Error).message}`)
    }
    const node: Node & { outputs: readonly Value[] } = { name, op, inputs, attributes, outputs: [] }
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
