import { bakeWeights, type Model, type Picture, type Weights } from '@ageb/lab'
import { forDevice, Graph, type Runtime, toOnnx } from 'onnxgrad'

/** A model that is ready to classify pictures of its size. */
export interface PictureClassifier {
  /** @returns one float32 array per picture with one logit per class. */
  logits(pictures: readonly Picture[]): Promise<Float32Array[]>
  release(): Promise<void>
}

/**
 * Loads a model for pictures whose values need not be bytes, which `classify` takes.
 * @param wanted pictures per run; a model may fix another number.
 */
export async function pictureClassifier(
  runtime: Runtime,
  model: Model,
  weights: Weights,
  wanted: number,
): Promise<PictureClassifier> {
  const batch = model.fixedBatch ?? wanted
  const shape = [batch, 3, model.imageSize, model.imageSize]
  const graph = new Graph()
  const pixels = graph.input('pixels', 'float32', shape)
  graph.output('logits', model.forward(bakeWeights(graph, model, weights), pixels).logits)
  const session = await runtime.load(toOnnx(forDevice(graph, await runtime.device())))
  const size = 3 * model.imageSize ** 2
  const classes = model.classNames.length
  const run = async (pictures: readonly Picture[]) => {
    const data = new Float32Array(batch * size)
    pictures.forEach(({ pixels }, i) => {
      for (let j = 0; j < size; j++) data[i * size + j] = pixels[j]! / 255
    })
    const { logits } = await session.run({ pixels: { dtype: 'float32', shape, data } })
    const all = logits!.data as Float32Array
    return pictures.map((_, i) => all.slice(i * classes, (i + 1) * classes))
  }
  return {
    async logits(pictures) {
      const found: Float32Array[] = []
      for (let start = 0; start < pictures.length; start += batch)
        found.push(...(await run(pictures.slice(start, start + batch))))
      return found
    },
    release: () => session.release(),
  }
}
