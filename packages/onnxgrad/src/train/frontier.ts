import { isFloat } from '../graph/dtype.js'
import type { Graph, Node, Value } from '../graph/graph.js'

/** Where a forward pass stops to be a matter of parameters alone. */
export interface Frontier {
  /**
   * What is computed of parameters alone, some of them trained, and read by what depends on the batch: parameters
   * themselves, or say the product of a layer's weight with the scale of the normalization before it.
   */
  readonly values: readonly Value[]
  /** The nodes that depend on the batch. */
  readonly moving: ReadonlySet<Node>
}

/**
 * Looks at the nodes of a forward pass.
 *
 * @param from number of nodes in the graph before the pass was built.
 * @param trained parameters.
 * @param others what else is the same for every batch: frozen parameters, buffers.
 */
export function frontierOf(
  graph: Graph,
  from: number,
  { trained, others, loss }: { trained: readonly Value[]; others: readonly Value[]; loss: Value },
): Frontier {
  const learned = new Set(trained)
  const still = new Set([...trained, ...others])
  const isStill = (value: Value) => value.data !== null || still.has(value)
  const moving = new Set<Node>()
  const values = new Set<Value>()
  for (const node of graph.nodes.slice(from)) {
    const inputs = node.inputs.filter(input => input !== null)
    if (inputs.every(isStill)) {
      const isLearned = inputs.some(input => learned.has(input))
      for (const output of node.outputs) {
        still.add(output)
        if (isLearned && isFloat(output.dtype)) learned.add(output)
      }
    } else {
      moving.add(node)
      for (const input of inputs) if (learned.has(input)) values.add(input)
    }
  }
  if (learned.has(loss)) values.add(loss)
  return { values: [...values], moving }
}
