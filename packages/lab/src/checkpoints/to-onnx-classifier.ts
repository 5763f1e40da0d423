import { forDevice, Graph, InputError, type Tensor, toOnnx } from 'onnxgrad'
import { bakeWeights } from '../models/model.js'
import type { Checkpoint, Provenance } from './checkpoint.js'
import { familyOf } from './configuration.js'
import { type ImportedCheckpoint, isImported } from './imported-checkpoint.js'

/** Sizes of the batch that graphs are compared at: primes that no length of a model is a multiple of. */
const [BATCH, OTHER_BATCH] = [1009, 1013]

/**
 * A classifier as the ONNX file that Optimum writes and transformers.js reads: `pixel_values`, float32 (batch, 3, H, W),
 * normalized as preprocessor_config.json says, in; `logits`, float32 (batch, classes), out. A model that was read from
 * ONNX is written as it was, with its present weights. The history is in the file's metadata.
 *
 * @param batch images that every run takes. Default: as many as it is given.
 * @throws InputError if the model was read from ONNX and takes another number of images.
 */
export function toOnnxClassifier(checkpoint: Checkpoint, batch?: number): Uint8Array {
  const { model, weights, provenance } = checkpoint
  if (isImported(checkpoint)) return fileOf(checkpoint, batch)
  const family = familyOf(model)!
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
    metadata: metadataOf(provenance),
    ...(batch === undefined && { otherBatch: build(OTHER_BATCH) }),
  })
}

const metadataOf = (provenance: Provenance) => ({ ageb: JSON.stringify(provenance) })

function fileOf({ model, weights, provenance }: ImportedCheckpoint, batch: number | undefined): Uint8Array {
  if (batch !== undefined && batch !== model.fixedBatch) {
    const taken = model.fixedBatch === undefined ? 'any number of images' : `${model.fixedBatch} images`
    throw new InputError(
      `a model that was read from ONNX keeps the batch of its file, which takes ${taken} a run: leave out the batch`,
    )
  }
  const tensors = Object.entries(model.parameters).map(([name, { shape }]): [string, Tensor] => [
    name,
    { dtype: 'float32', shape, data: weights[name]! },
  ])
  return model.file.replace(Object.fromEntries(tensors)).write(metadataOf(provenance))
}
