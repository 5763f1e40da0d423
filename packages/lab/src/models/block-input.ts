import { Graph, InputError, type Shape, type Value } from 'onnxgrad'
import type { ForwardResult, Model } from './model.js'

/**
 * What goes into a block.
 *
 * @param block from 0; the number of blocks stands for what comes out of the last.
 * @throws InputError if the model has no such block.
 */
export function blockInput({ hidden }: ForwardResult, block: number): Value {
  const value = hidden[block]
  if (value) return value
  throw new InputError(
    hidden.length > 0
      ? `the model has no block ${block}: its blocks are 0 to ${hidden.length - 2}, and ${hidden.length - 1} stands for what follows them`
      : 'this model does not tell its blocks apart: it cannot be computed up to one of them',
  )
}

/** The shape of what goes into a block for one image. @throws InputError as `blockInput` */
export function blockInputShape(model: Model, block: number): Shape {
  const graph = new Graph()
  const parameters = Object.entries(model.parameters).map(([name, { shape }]): [string, Value] => [
    name,
    graph.input(name, 'float32', shape),
  ])
  const images = [model.fixedBatch ?? 1, 3, model.imageSize, model.imageSize]
  const result = model.forward(Object.fromEntries(parameters), graph.input('pixels', 'float32', images))
  return blockInput(result, block).shape.slice(1)
}
