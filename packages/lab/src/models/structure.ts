import { Graph, toOnnx } from 'onnxgrad'
import type { Model } from './model.js'

/** The model's graph without weights, as bytes: what a configuration leaves open, a file of another program for one. */
export function structureOf(model: Model): Uint8Array {
  const graph = new Graph()
  const parameters = Object.fromEntries(
    Object.entries(model.parameters).map(([name, { shape }]) => [
      name,
      graph.input(`weights.${name}`, 'float32', shape),
    ]),
  )
  const side = model.imageSize
  const pixels = graph.input('pixels', 'float32', [model.fixedBatch ?? 1, 3, side, side])
  graph.output('logits', model.forward(parameters, pixels).logits)
  return toOnnx(graph)
}
