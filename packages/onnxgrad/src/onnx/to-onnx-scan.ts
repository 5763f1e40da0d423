import { type Graph, GraphError, type Value } from '../graph/graph.js'
import { sameShape } from '../graph/tensor.js'
import { verify } from '../graph/verify.js'
import {
  attributeMessage,
  contentsOf,
  type PublicNames,
  plainNode,
  subgraphMessage,
  tensorMessage,
  typeMessage,
} from './graph-message.js'
import { modelFile, type OnnxOptions } from './to-onnx.js'

/** The name of the new first axis: how many times the graph is run. */
const TIMES = 'times'

/**
 * The graph, run any number of times in one call, as an ONNX model with one `Scan`. Inputs and outputs keep their names.
 * Those that are carried keep their types, too: the outputs of one time are the inputs of the next, and what is delivered
 * are the outputs of the last. All others have a new first axis: row i is fed at, and delivered by, time i.
 *
 * @param carried input → the output that replaces it; an output that is its own input is copied once.
 * @throws GraphError if the graph does not verify, nothing is left that could be fed at each time, or a carried value
 * changes its type.
 */
export function toOnnxScan(
  graph: Graph,
  carried: Readonly<Record<string, string>>,
  options: Omit<OnnxOptions, 'otherBatch'> = {},
): Uint8Array {
  verify(graph)
  const inputs = new Map(graph.inputs.map(value => [value.name, value]))
  const pairs = Object.entries(carried).map(([from, to]) => {
    const [before, after] = [inputs.get(from), graph.outputs.get(to)]
    if (before && after && before.dtype === after.dtype && sameShape(before.shape, after.shape))
      return { from, to, before, after }
    throw new GraphError(`'${from}' cannot be carried: there is no output '${to}' of its type`)
  })
  const still = pairs.filter(({ before, after }) => before === after)
  const moving = pairs.filter(({ before, after }) => before !== after)
  const fed = graph.inputs.filter(({ name }) => !(name in carried))
  if (fed.length === 0) throw new GraphError('all inputs are carried: there is nothing to run the graph over')
  const isCarried = new Set(Object.entries(carried).flat())
  const delivered = [...graph.outputs].filter(([name]) => !isCarried.has(name))

  // A graph inside another must not use its names again; what stands still is read from the outer one.
  const kept = new Set(still.flatMap(({ from, to }) => [from, to]))
  const names: PublicNames = {
    input: name => (kept.has(name) ? name : `each/${name}`),
    output: name => (kept.has(name) ? null : `each/${name}`),
  }
  const { nodes, constants } = contentsOf(graph, names)
  const inside = (name: string, { dtype, shape }: Value) => typeMessage(`each/${name}`, dtype, shape)
  const body = {
    name: 'each',
    node: nodes,
    initializer: constants.map(tensorMessage),
    input: [
      ...moving.map(({ from, before }) => inside(from, before)),
      ...fed.map(value => inside(value.name, value)),
    ],
    output: [
      ...moving.map(({ to, after }) => inside(to, after)),
      ...delivered.map(([name, value]) => inside(name, value)),
    ],
  }
  const scan = plainNode(
    'Scan',
    'scan',
    [...moving.map(({ from }) => from), ...fed.map(({ name }) => name)],
    [...moving.map(({ to }) => to), ...delivered.map(([name]) => name)],
    [subgraphMessage('body', body), attributeMessage('num_scan_inputs', 'int', fed.length)],
  )
  const outside = (name: string, { dtype, shape }: Value) =>
    typeMessage(name, dtype, isCarried.has(name) ? shape : [TIMES, ...shape])
  return modelFile(options, {
    node: [scan, ...still.map(({ from, to }) => plainNode('Identity', `deliver_${to}`, [from], [to]))],
    initializer: [],
    input: graph.inputs.map(value => outside(value.name, value)),
    output: [...graph.outputs].map(([name, value]) => outside(name, value)),
  })
}
