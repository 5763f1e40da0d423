import { type Graph, GraphError, type Value } from './graph.js'
import { sameShape, showType } from './tensor.js'

/**
 * Checks a finished graph: every value is defined before it is used, names are unique, every node's types are
 * what its operator's rule gives, and there is an output. Throws GraphError naming the first fault.
 */
export function verify(graph: Graph): void {
  const names = new Set<string>()
  const defined = new Set<Value>()
  const define = (value: Value) => {
    if (names.has(value.name)) throw new GraphError(`the name '${value.name}' is there twice`)
    names.add(value.name)
    defined.add(value)
  }
  const known = (value: Value) => value.data !== null || defined.has(value)
  graph.inputs.forEach(define)
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input && !known(input))
        throw new GraphError(`node '${node.name}' uses '${input.name}' before it is defined`)
    }
    const types = node.definition.infer(node.inputs, node.attributes)
    types.forEach((type, i) => {
      const output = node.outputs[i]!
      if (type.dtype !== output.dtype || !sameShape(type.shape, output.shape)) {
        throw new GraphError(
          `node '${node.name}': output ${i} is ${showType(output)} but should be ${showType(type)}`,
        )
      }
    })
    node.outputs.forEach(define)
  }
  if (graph.outputs.size === 0) throw new GraphError('the graph has no output')
  for (const [name, value] of graph.outputs) {
    if (!known(value)) throw new GraphError(`output '${name}' is not computed`)
  }
}
