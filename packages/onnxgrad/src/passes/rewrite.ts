import { type Attributes, Graph, type Node, type OpDefinition, type Value } from '../graph/graph.js'
import { liveNodes } from '../graph/live-nodes.js'

/** A node of the old graph and what its inputs became in the new one. */
export interface Rewriting {
  readonly node: Node
  readonly inputs: readonly (Value | null)[]
  /** What a value of the old graph became. */
  readonly translate: (value: Value) => Value
  /** Builds nodes under the old node's scope. */
  within<T>(build: () => T): T
  /** Applies an operator there. */
  apply(
    definition: OpDefinition,
    inputs: readonly (Value | null)[],
    attributes?: Attributes,
  ): readonly Value[]
}

/**
 * Copies a graph node by node, without what no output depends on; inputs and outputs keep their names, and constants
 * theirs where these are free.
 * `visit` may give a node's outputs itself, in place of the plain copy.
 */
export function rewrite(
  graph: Graph,
  visit: (at: Rewriting) => readonly Value[] | undefined = () => undefined,
): Graph {
  const copy = new Graph()
  const became = new Map<Value, Value>()
  for (const input of graph.inputs) became.set(input, copy.input(input.name, input.dtype, input.shape))
  const translate = (value: Value): Value => {
    let now = became.get(value)
    if (!now) {
      // A constant that a visit made may have the name already.
      now = copy.initializer(copy.unused(value.name), value.dtype, value.shape, value.data!)
      became.set(value, now)
    }
    return now
  }
  for (const node of liveNodes(graph)) {
    const inputs = node.inputs.map(input => input && translate(input))
    const scope = node.name.slice(0, Math.max(0, node.name.lastIndexOf('/')))
    const within: Rewriting['within'] = build => (scope ? copy.within(scope, build) : build())
    const apply: Rewriting['apply'] = (definition, operands, attributes) =>
      within(() => copy.apply(definition, operands, attributes))
    const outputs =
      visit({ node, inputs, translate, within, apply }) ?? apply(node.definition, inputs, node.attributes)
    node.outputs.forEach((output, i) => {
      if (outputs[i]) became.set(output, outputs[i])
    })
  }
  for (const [name, value] of graph.outputs) copy.output(name, translate(value))
  return copy
}
