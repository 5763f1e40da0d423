import { InputError } from '../errors.js'
import type { DType } from '../graph/dtype.js'
import type { Attributes, Graph, OpDefinition, Value } from '../graph/graph.js'
import { type Shape, showType, type Tensor } from '../graph/tensor.js'
import { fold } from './fold.js'
import { type Builder, convert, type ForeignAttribute } from './opset.js'
import { MAX_RANK } from './tensor-message.js'

/** A node of a file: names instead of values; '' where an optional one is left out. */
export interface FileNode {
  /** That of the file, or where it has none the name of what the node computes. */
  readonly name: string
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, ForeignAttribute>>
}

/** What a file takes. A string in the shape is the name of a free dimension, `<input>:<axis>` where it has none. */
export interface FileInput {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly (number | string)[]
}

/** What a file's graph consists of, checked; the nodes are in topological order. */
export interface FileGraph {
  readonly opset: number
  readonly inputs: readonly FileInput[]
  readonly outputs: readonly string[]
  readonly nodes: readonly FileNode[]
  readonly initializers: ReadonlyMap<string, Tensor>
  /** Names of the initializers that a training may move. */
  readonly trainable: ReadonlySet<string>
}

export interface Applied {
  /** The file's outputs, by name. */
  readonly outputs: Readonly<Record<string, Value>>
  /** Every value of the file by its name there: inputs, initializers, inner values, outputs. */
  readonly values: ReadonlyMap<string, Value>
}

/** Elements that may be read or made for one constant, and for all of an application: a bound on memory and work. */
const FOLD_LIMIT = 1 << 16
const FOLD_BUDGET = 1 << 24

/** Puts nodes into a graph; what depends on constants alone is computed at once, except for parameters. */
class Folding implements Builder {
  readonly #graph: Graph
  readonly #known = new Set<Value>()
  #budget = FOLD_BUDGET

  constructor(graph: Graph) {
    this.#graph = graph
  }

  constant(dtype: DType, shape: Shape, values: ArrayLike<number | bigint>): Value {
    return this.know(this.#graph.constant(dtype, shape, values))
  }

  know(value: Value): Value {
    this.#known.add(value)
    return value
  }

  affords(elements: number): boolean {
    const can = elements <= Math.min(FOLD_LIMIT, this.#budget)
    if (can) this.#budget -= elements
    return can
  }

  apply(
    definition: OpDefinition,
    inputs: readonly (Value | null)[],
    attributes: Attributes = {},
  ): readonly Value[] {
    if (inputs.every(input => !input || this.#known.has(input))) {
      const folded = fold(definition, inputs, attributes, elements => this.affords(elements))
      if (folded) return [this.constant(folded.dtype, folded.shape, folded.data)]
    }
    return this.#graph.apply(definition, inputs, attributes)
  }
}

/** Builds the file's nodes into `graph`. Throws InputError where an input does not fit or a node cannot be built. */
export function replay(
  file: FileGraph,
  graph: Graph,
  inputs: Readonly<Record<string, Value>>,
  parameters: Readonly<Record<string, Value>>,
): Applied {
  const values = new Map<string, Value>()
  const builder = new Folding(graph)
  const free = new Map<string, number>()
  for (const input of file.inputs) values.set(input.name, given('input', input, inputs, free))
  for (const [name, tensor] of file.initializers) {
    if (Object.hasOwn(parameters, name)) values.set(name, given('parameter', { name, ...tensor }, parameters))
    else {
      const value = graph.initializer(graph.unused(name), tensor.dtype, tensor.shape, tensor.data)
      values.set(name, file.trainable.has(name) ? value : builder.know(value))
    }
  }
  refuseOthers('input', inputs, new Set(file.inputs.map(({ name }) => name)))
  refuseOthers('parameter', parameters, file.initializers)

  for (const { name, op, attributes, ...node } of file.nodes) {
    let made: readonly Value[]
    try {
      const applied = {
        op,
        inputs: node.inputs.map(input => (input === '' ? null : values.get(input)!)),
        attributes,
        outputs: node.outputs.length,
        opset: file.opset,
      }
      made = graph.within(name.replace(/^\//, ''), () => convert(applied, builder))
      const deep = made.find(value => value.shape.length > MAX_RANK)
      if (deep) throw new Error(`the result has ${deep.shape.length} axes; at most ${MAX_RANK} can be`)
      if (node.outputs.findLastIndex(output => output !== '') >= made.length) {
        throw new Error(`output ${made.length} is not supported`)
      }
    } catch (error) {
      throw new InputError(`node '${name}' (${op}) cannot be built: ${(error as Error).message}`, {
        cause: error,
      })
    }
    node.outputs.forEach((output, i) => {
      if (output !== '') values.set(output, made[i]!)
    })
  }
  return { outputs: Object.fromEntries(file.outputs.map(name => [name, values.get(name)!])), values }
}

/** The value that was given. A free dimension takes its length, unless it has one from another input. */
function given(
  kind: string,
  wanted: FileInput,
  values: Readonly<Record<string, Value>>,
  free: Map<string, number> = new Map(),
): Value {
  const value = Object.hasOwn(values, wanted.name) ? values[wanted.name] : undefined
  if (!value) throw new InputError(`${kind} '${wanted.name}' ${showType(wanted)} is not given`)
  const known = wanted.shape.map(dim => (typeof dim === 'number' ? dim : (free.get(dim) ?? dim)))
  const fits = known.every((dim, axis) => typeof dim === 'string' || dim === value.shape[axis])
  if (value.dtype !== wanted.dtype || value.shape.length !== known.length || !fits) {
    throw new InputError(
      `${kind} '${wanted.name}' is ${showType({ ...wanted, shape: known })} in the file but ${showType(value)} was given`,
    )
  }
  known.forEach((dim, axis) => {
    if (typeof dim === 'string') free.set(dim, value.shape[axis]!)
  })
  return value
}

/** Throws InputError if something is given that the file does not have. */
export function refuseOthers(kind: string, given: object, known: { has(name: string): boolean }): void {
  const other = Object.keys(given).find(name => !known.has(name))
  if (other !== undefined)
    throw new InputError(`the file has no ${kind} '${other}'; look at its list of ${kind}s`)
}
