import { cast, div, forDevice, Graph, type Runtime, sizeOf, toOnnx } from 'onnxgrad'
import type { PixelSource } from '../images/image-source.js'
import { type TensorSource, tensorsInMemory } from '../images/tensor-source.js'
import { blockInput, blockInputShape } from '../models/block-input.js'
import { bakeWeights, type Model, type Weights } from '../models/model.js'
import { runBatches } from './classifier.js'

/**
 * What goes into a block as a graph: uint8 images (batch, 3, H, W) to `hidden`, float32, images along the first axis.
 *
 * @param block from 0; the number of blocks stands for what comes out of the last.
 * @throws InputError if the model has no such block.
 */
export function prefixGraph(model: Model, weights: Weights, block: number, batch: number): Graph {
  const graph = new Graph()
  const images = graph.input('images', 'uint8', [batch, 3, model.imageSize, model.imageSize])
  const pixels = div(cast(images, 'float32'), 255)
  const result = model.forward(bakeWeights(graph, model, weights), pixels)
  graph.output('hidden', blockInput(result, block))
  return graph
}

/**
 * What goes into a block, for all images in order, in pieces: one tensor of `blockInputShape` an image, some images a piece.
 *
 * @param wanted images at a time, unless the model fixes their number.
 * @throws InputError as `prefixGraph`
 */
export async function* computePrefix(
  runtime: Runtime,
  model: Model,
  weights: Weights,
  images: PixelSource,
  block: number,
  wanted = 100,
): AsyncGenerator<Float32Array> {
  const batch = model.fixedBatch ?? wanted
  const graph = forDevice(prefixGraph(model, weights, block, batch), await runtime.device())
  const size = sizeOf(graph.outputs.get('hidden')!.shape) / batch
  const session = await runtime.load(toOnnx(graph, { name: 'prefix' }))
  try {
    for await (const { outputs, count } of runBatches(session, images, batch))
      yield (outputs.hidden!.data as Float32Array).subarray(0, count * size)
  } finally {
    await session.release()
  }
}

/** `computePrefix`, held in memory: for a small data set, since a block's input often is larger than the image. */
export async function prefixInMemory(
  runtime: Runtime,
  model: Model,
  weights: Weights,
  images: PixelSource,
  block: number,
  wanted?: number,
): Promise<TensorSource> {
  const shape = blockInputShape(model, block)
  const values = new Float32Array(images.count * sizeOf(shape))
  let end = 0
  for await (const piece of computePrefix(runtime, model, weights, images, block, wanted)) {
    values.set(piece, end)
    end += piece.length
  }
  return tensorsInMemory(shape, values)
}
