import { arrayOf } from '../graph/dtype.js'
import type { Graph } from '../graph/graph.js'
import type { Tensor } from '../graph/tensor.js'
import { toOnnx } from '../onnx/to-onnx.js'
import type { Runtime, SessionOptions } from '../runtime/session.js'

/** Runs a graph once. Feeds are plain numbers by input name; they take the type and shape of the input. */
export async function evaluate(
  runtime: Runtime,
  graph: Graph,
  feeds: Readonly<Record<string, ArrayLike<number>>> = {},
  options: SessionOptions = {},
): Promise<Record<string, Tensor>> {
  const session = await runtime.load(toOnnx(graph), options)
  try {
    const tensors: Record<string, Tensor> = {}
    for (const { name, dtype, shape } of graph.inputs) {
      tensors[name] = { dtype, shape, data: arrayOf(dtype, feeds[name] ?? []) }
    }
    return await session.run(tensors)
  } finally {
    await session.release()
  }
}

/** The values of a delivered tensor as plain numbers. */
export function numbers(tensor: Tensor | undefined): number[] {
  if (!tensor) throw new Error('the graph does not deliver this tensor')
  return Array.from(tensor.data, Number)
}
