import { cast, type Device, div, forDevice, Graph, InputError, type Runtime, toOnnx } from 'onnxgrad'
import type { PixelSource } from '../images/image-source.js'
import { bakeWeights, type Model, type Weights } from '../models/model.js'
import { mapBatches } from './classifier.js'

/** What the head reads of every image. */
export interface Features {
  /** Of image i: values i × width to (i + 1) × width. */
  readonly values: Float32Array
  readonly width: number
}

/**
 * The features of every image, in order: the vectors whose linear functions the logits are.
 *
 * @param wanted images at a time, unless the model fixes their number.
 * @throws InputError if the model has no such vectors.
 */
export async function featuresOf(
  runtime: Runtime,
  model: Model,
  weights: Weights,
  images: PixelSource,
  wanted = 100,
): Promise<Features> {
  const batch = model.fixedBatch ?? wanted
  const { file, width } = featureModel(model, weights, batch, await runtime.device())
  const session = await runtime.load(file)
  try {
    const values = new Float32Array(images.count * width)
    await mapBatches(session, images, batch, ({ features }, start, count) => {
      values.set((features!.data as Float32Array).subarray(0, count * width), start * width)
    })
    return { values, width }
  } finally {
    await session.release()
  }
}

function featureModel(model: Model, weights: Weights, batch: number, device: Device) {
  const graph = new Graph()
  const images = graph.input('images', 'uint8', [batch, 3, model.imageSize, model.imageSize])
  const pixels = div(cast(images, 'float32'), 255)
  const { features } = model.forward(bakeWeights(graph, model, weights), pixels)
  if (!features)
    throw new InputError(
      'this model has no features: its logits are not made by one matrix product of a vector an image; use another model',
    )
  graph.output('features', features)
  return { file: toOnnx(forDevice(graph, device), { name: 'features' }), width: features.shape[1]! }
}
