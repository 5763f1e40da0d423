import { Graph, toOnnx, type Value } from 'onnxgrad'
import type { Checkpoint } from '../../checkpoints/checkpoint.js'
import { digestOf } from '../../digest.js'
import type { ImageSize } from '../../images/image-source.js'
import { type Resizing, resampleInGraph } from '../../images/resample-in-graph.js'
import { bakeWeights, type ForwardResult, type Model, type Weights } from '../../models/model.js'
import { structureOf } from '../../models/structure.js'

/** The pre-trained model that an attacker holds and computes triggers with. */
export interface Surrogate {
  readonly model: Model
  readonly weights: Weights
  /** How images of another size than the model's become its input. Left out where they have that size. */
  readonly resizing?: InputResizing
  /** Digest of all that decides what it computes, hexadecimal. */
  readonly id: string
}

/** How whole images of one size are squeezed into a model's square. */
export interface InputResizing extends Resizing {
  readonly from: ImageSize
}

/**
 * A model with its weights as a surrogate. Its id is computed when it is first asked for: large weights take a while.
 *
 * @param size of the images that it is given; the model's own if left out. Others are resized to that within the graph, by
 * the kernel in the checkpoint's preprocessing, or bilinearly; as everywhere, a kernel widens where images shrink.
 */
export function surrogateOf(
  { model, weights, preprocessing }: Pick<Checkpoint, 'model' | 'weights' | 'preprocessing'>,
  size?: ImageSize,
): Surrogate {
  const { imageSize: side } = model
  const fits = !size || (size.height === side && size.width === side)
  const { resampling = 'bilinear', arithmetic = 'torch' } = preprocessing ?? {}
  const resizing = fits
    ? undefined
    : { from: { height: size.height, width: size.width }, resampling, arithmetic }
  let id: string | undefined
  return {
    model,
    weights,
    ...(resizing && { resizing }),
    get id() {
      id ??= digestOf(
        'surrogate',
        structureOf(model),
        ...(resizing ? [structureOfResizing(model, resizing)] : []),
        ...Object.keys(model.parameters).map(name => weights[name]!),
      )
      return id
    },
  }
}

/**
 * Runs a surrogate on images within their graph, with its weights as constants.
 *
 * @param pixels float32 (N, 3, H, W) in [0, 1], of the size that the surrogate is given.
 */
export function surrogateForward(
  { model, weights, resizing }: Omit<Surrogate, 'id'>,
  pixels: Value,
): ForwardResult {
  return model.forward(bakeWeights(pixels.graph, model, weights, 'surrogate.'), seen(model, resizing, pixels))
}

function seen({ imageSize: side }: Model, resizing: InputResizing | undefined, pixels: Value): Value {
  return resizing ? resampleInGraph(pixels, { height: side, width: side }, resizing) : pixels
}

/** The size of the images that a surrogate is given. */
export function inputSizeOf({ model, resizing }: Pick<Surrogate, 'model' | 'resizing'>): ImageSize {
  return resizing?.from ?? { height: model.imageSize, width: model.imageSize }
}

/** What is put before the model, likewise. */
function structureOfResizing(model: Model, resizing: InputResizing): Uint8Array {
  const graph = new Graph()
  const { height, width } = resizing.from
  graph.output('seen', seen(model, resizing, graph.input('pixels', 'float32', [1, 3, height, width])))
  return toOnnx(graph)
}
