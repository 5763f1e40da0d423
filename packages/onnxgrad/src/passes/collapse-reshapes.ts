import type { Graph, OpDefinition, Value } from '../graph/graph.js'
import { sameShape } from '../graph/tensor.js'
import { Flatten, Reshape, reshape, Squeeze, Unsqueeze } from '../ops/reshaping.js'
import { rewrite } from './rewrite.js'

const reshapes: ReadonlySet<OpDefinition> = new Set([Reshape, Squeeze, Unsqueeze, Flatten])

/** Changes of shape one after the other become one, and none where the last restores what the first changed. */
export function collapseReshapes(graph: Graph): Graph {
  return rewrite(graph, ({ node, inputs, within }) => {
    if (!reshapes.has(node.definition)) return undefined
    const { shape } = node.outputs[0]!
    const source = unreshaped(inputs[0]!)
    if (sameShape(source.shape, shape)) return [source]
    return source === inputs[0] ? undefined : within(() => [reshape(source, shape)])
  })
}

/** What a value was before its shape was changed. */
function unreshaped(value: Value): Value {
  let at = value
  while (at.producer && reshapes.has(at.producer.definition)) at = at.producer.inputs[0]!
  return at
}
