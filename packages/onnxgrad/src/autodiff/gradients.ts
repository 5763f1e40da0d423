import { isFloat } from '../graph/dtype.js'
import { GraphError, type Node, type Value } from '../graph/graph.js'
import { broadcastAxes } from '../graph/shape.js'
import { sameShape, showType } from '../graph/tensor.js'
import { add } from '../ops/elementwise.js'
import { reduceSum } from '../ops/reduction.js'
import { reshape } from '../ops/reshaping.js'

/**
 * Reverse-mode differentiation: appends to the graph the gradients of Σ⟨seed, objective⟩ at `wrt`.
 *
 * Only paths from `wrt` to the objectives are walked. Passing an inner value as objective with its own gradient
 * as seed therefore continues a gradient through that value alone, holding all else constant.
 *
 * @param objectives values and the gradient each starts with; a missing seed is 1 and needs a scalar.
 * @param wrt values to differentiate at; they may be inputs, constants or inner values.
 * @param through which nodes may lie on a path. Default: all.
 * @returns one gradient of the same shape a `wrt`; null where no path leads from it to an objective.
 * @throws GraphError naming the node whose operator has no gradient, and the path that needs it.
 */
export function gradients(
  objectives: readonly { value: Value; seed?: Value }[],
  wrt: readonly Value[],
  through?: ReadonlySet<Node>,
): (Value | null)[] {
  const graph = objectives[0]!.value.graph
  const sources = new Set(wrt)
  const reached = new Map<Value, Value[]>()
  for (const { value, seed } of objectives) {
    if (!seed && value.shape.length > 0)
      throw new GraphError(`'${value.name}' ${showType(value)} needs a seed`)
    if (seed && !sameShape(seed.shape, value.shape)) {
      throw new GraphError(`the seed ${showType(seed)} does not fit '${value.name}' ${showType(value)}`)
    }
    push(reached, value, seed ?? graph.constant(value.dtype, [], [1]))
  }
  const nodes = through ? graph.nodes.filter(node => through.has(node)) : [...graph.nodes]
  const needed = downstreamOf(sources, nodes)
  const total = new Map<Value, Value>()
  const settle = (value: Value): Value | null => {
    const parts = reached.get(value)
    if (!parts) return null
    let sum = total.get(value)
    if (!sum) {
      sum = parts.reduce(add)
      total.set(value, sum)
    }
    return sum
  }

  // The nodes present now; those that the rules append are not walked.
  for (const node of nodes.reverse()) {
    if (!needed.has(node) || !node.outputs.some(output => reached.has(output))) continue
    const { definition } = node
    if (definition.gradient === 'zero') continue
    if (!definition.gradient) {
      throw new GraphError(
        `node '${node.name}': ${definition.name} has no gradient, and the path from ` +
          `'${nameOfSource(node, sources)}' to '${objectives[0]!.value.name}' needs it`,
      )
    }
    const wanted = node.inputs.map(
      input =>
        !!input &&
        isFloat(input.dtype) &&
        (sources.has(input) || (!!input.producer && needed.has(input.producer))),
    )
    const parts = definition.gradient({
      graph,
      inputs: node.inputs,
      outputs: node.outputs,
      attributes: node.attributes,
      gradients: node.outputs.map(settle),
      wants: i => wanted[i] === true,
    })
    node.inputs.forEach((input, i) => {
      const part = parts[i]
      if (input && part && wanted[i]) push(reached, input, unbroadcast(part, input, node))
    })
  }
  return wrt.map(settle)
}

function push(map: Map<Value, Value[]>, key: Value, part: Value): void {
  const parts = map.get(key)
  if (parts) parts.push(part)
  else map.set(key, [part])
}

/** Nodes whose output depends on a source. */
function downstreamOf(sources: ReadonlySet<Value>, nodes: readonly Node[]): Set<Node> {
  const out = new Set<Node>()
  for (const node of nodes) {
    if (
      node.inputs.some(input => input && (sources.has(input) || (input.producer && out.has(input.producer))))
    ) {
      out.add(node)
    }
  }
  return out
}

/** Sums a gradient over the axes along which its input was repeated. */
function unbroadcast(gradient: Value, input: Value, node: Node): Value {
  if (sameShape(gradient.shape, input.shape)) return gradient
  const summed = reduceSum(gradient, broadcastAxes(input.shape, gradient.shape), { keep: true })
  const size = (shape: readonly number[]) => shape.reduce((n, dim) => n * dim, 1)
  if (size(summed.shape) !== size(input.shape)) {
    throw new GraphError(
      `node '${node.name}': the gradient rule of ${node.definition.name} gave ${showType(gradient)} for ${showType(input)}`,
    )
  }
  return reshape(summed, input.shape)
}

function nameOfSource(node: Node, sources: ReadonlySet<Value>): string {
  const seen = new Set<Node>()
  const find = (at: Node): string | null => {
    if (seen.has(at)) return null
    seen.add(at)
    for (const input of at.inputs) {
      if (input && sources.has(input)) return input.name
      const found = input?.producer && find(input.producer)
      if (found) return found
    }
    return null
  }
  return find(node) ?? '?'
}
