import {
  argMax,
  cast,
  type Device,
  div,
  forDevice,
  Graph,
  type Runtime,
  type Session,
  toOnnx,
} from 'onnxgrad'
import { imageSize, type PixelSource } from '../images/image-source.js'
import { batchesAhead, readAhead } from '../images/read-ahead.js'
import { bakeWeights, type Model, type Weights } from '../models/model.js'

/** A model with its weights as a graph: uint8 images (batch, 3, H, W) to `logits` and `label` (int64). */
export function classifierGraph(model: Model, weights: Weights, batch: number): Graph {
  const graph = new Graph()
  const images = graph.input('images', 'uint8', [batch, 3, model.imageSize, model.imageSize])
  const pixels = div(cast(images, 'float32'), 255)
  const { logits } = model.forward(bakeWeights(graph, model, weights), pixels)
  graph.output('logits', logits)
  graph.output('label', argMax(logits, 1))
  return graph
}

/** `classifierGraph` as an ONNX model. */
export function classifierModel(
  model: Model,
  weights: Weights,
  batch: number,
  device: Device = 'cpu',
): Uint8Array {
  return toOnnx(forDevice(classifierGraph(model, weights, batch), device), { name: 'classifier' })
}

/** The logits of every image, in order: one float32 array of a value a class each. A model may fix the batch. */
export async function classify(
  runtime: Runtime,
  model: Model,
  weights: Weights,
  images: PixelSource,
  wanted = 100,
): Promise<Float32Array[]> {
  const batch = model.fixedBatch ?? wanted
  const session = await runtime.load(classifierModel(model, weights, batch, await runtime.device()))
  try {
    const logits: Float32Array[] = []
    const classes = model.classNames.length
    await mapBatches(session, images, batch, (out, _, count) => {
      const all = out.logits!.data as Float32Array
      for (let i = 0; i < count; i++) logits.push(all.slice(i * classes, (i + 1) * classes))
    })
    return logits
  } finally {
    await session.release()
  }
}

/** The class that a model predicts for each image, in order. A model may fix the batch. */
export async function predict(
  runtime: Runtime,
  model: Model,
  weights: Weights,
  images: PixelSource,
  wanted = 100,
): Promise<Int32Array> {
  const batch = model.fixedBatch ?? wanted
  const session = await runtime.load(classifierModel(model, weights, batch, await runtime.device()))
  try {
    const labels = new Int32Array(images.count)
    await mapBatches(session, images, batch, (out, start, count) => {
      const predicted = out.label!.data as BigInt64Array
      for (let i = 0; i < count; i++) labels[start + i] = Number(predicted[i])
    })
    return labels
  } finally {
    await session.release()
  }
}

type Outputs = Awaited<ReturnType<Session['run']>>

/** Runs a session with an input `images` over all images, the last batch filled up with zeros. */
export async function mapBatches(
  session: Session,
  images: PixelSource,
  batch: number,
  use: (outputs: Outputs, start: number, count: number) => void,
): Promise<void> {
  for await (const { outputs, start, count } of runBatches(session, images, batch)) use(outputs, start, count)
}

/** `mapBatches` for whoever sets the pace: `count` images from image `start` on. They are read while the model runs. */
export async function* runBatches(
  session: Session,
  images: PixelSource,
  batch: number,
): AsyncGenerator<{ outputs: Outputs; start: number; count: number }> {
  const size = imageSize(images)
  const shape = [batch, 3, images.height, images.width]
  const load = async (i: number) => {
    const start = i * batch
    const count = Math.min(batch, images.count - start)
    const data = new Uint8Array(batch * size)
    await images.read(
      Array.from({ length: count }, (_, j) => start + j),
      data.subarray(0, count * size),
    )
    return { start, count, data }
  }
  const total = Math.ceil(images.count / batch)
  const batches = readAhead(load, 0, total, batchesAhead(batch * size))
  try {
    for (let i = 0; i < total; i++) {
      const { start, count, data } = await batches.next()
      const running = session.run({ images: { dtype: 'uint8', shape, data } }, ['images'])
      batches.refill()
      yield { outputs: await running, start, count }
    }
  } finally {
    await batches.end()
  }
}
