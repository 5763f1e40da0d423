import { type Attributes, Graph, type Node, type OpDefinition, type Value } from '../graph/graph.js'
import { liveNodes, uses } from '../graph/live-nodes.js'

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
 *
 * @param instead what is read in place of some values, by them; it must not be computed from them. An input that has no
 * reader left because of that is left out.
 */
export function rewrite(
  graph: Graph,
  visit: (at: Rewriting) => readonly Value[] | undefined = () => undefined,
  instead: ReadonlyMap<Value, Value> = new Map(),
): Graph {
  const copy = new Graph()
  const became = new Map<Value, Value>()
  const nodes = liveNodes(graph, instead)
  const unread = instead.size > 0 ? unreadInputs(graph, nodes, instead) : new Set()
  for (const input of graph.inputs)
    if (!unread.has(input)) became.set(input, copy.input(input.name, input.dtype, input.shape))
  const translate = (wanted: Value): Value => {
    const value = instead.get(wanted) ?? wanted
    let now = became.get(value)
    if (!now) {
      // A constant that a visit made may have the name already.
      now = copy.initializer(copy.unused(value.name), value.dtype, value.shape, value.data!)
      became.set(value, now)
    }
    return now
  }
  for (const node of nodes) {
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

/** Inputs that had readers and have none among these nodes. */
function unreadInputs(graph: Graph, nodes: readonly Node[], instead: ReadonlyMap<Value, Value>): Set<Value> {
  const before = uses(liveNodes(graph), graph)
  const now = new Set([...uses(nodes, graph).keys()].map(value => instead.get(value) ?? value))
  return new Set(graph.inputs.filter(input => before.has(input) && !now.has(input)))
}
