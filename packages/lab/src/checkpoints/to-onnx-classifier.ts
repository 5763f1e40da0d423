import { forDevice, Graph, InputError, toOnnx } from 'onnxgrad'
import { bakeWeights } from '../models/model.js'
import type { Checkpoint } from './checkpoint.js'
import { familyOf } from './configuration.js'

/** Sizes of the batch that graphs are compared at: primes that no length of a model is a multiple of. */
const [BATCH, OTHER_BATCH] = [1009, 1013]

/**
 * A classifier as the ONNX file that Optimum writes and transformers.js reads: `pixel_values`, float32 (batch, 3, H, W),
 * normalized as preprocessor_config.json says, in; `logits`, float32 (batch, classes), out.
 *
 * @param batch images that every run takes. Default: as many as it is given.
 * @throws InputError if the model is of no family.
 */
export function toOnnxClassifier({ model, weights, provenance }: Checkpoint, batch?: number): Uint8Array {
  const family = familyOf(model)
  if (!family) throw new InputError('a model that was read from ONNX cannot be written again')
  // What comes in is normalized already.
  const { classNames } = model
  const plain = family.build(family.config.parse(model.config), {
    classNames,
    mean: [0, 0, 0],
    std: [1, 1, 1],
  })
  const build = (images: number) => {
    const graph = new Graph()
    const pixels = graph.input('pixel_values', 'float32', [images, 3, model.imageSize, model.imageSize])
    graph.output('logits', plain.forward(bakeWeights(graph, plain, weights), pixels).logits)
    // As for WebGPU: transformers.js may run it there.
    return forDevice(graph, 'webgpu')
  }
  return toOnnx(build(batch ?? BATCH), {
    name: model.modelType,
    metadata: { ageb: JSON.stringify(provenance) },
    ...(batch === undefined && { otherBatch: build(OTHER_BATCH) }),
  })
}
