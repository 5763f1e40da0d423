import { classify, inputSide, pixelsInMemory, preprocess, type ReadCheckpoint } from '@ageb/lab'
import { InputError, type Runtime, type RuntimeChoice } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { openCheckpoint } from '../checkpoints/open-checkpoint.js'
import { decodePicture } from '../data/decode.js'
import { readPicture } from '../pictures/read-picture.js'
import { silent, type WatchOptions } from '../runs/monitor.js'
import { pictureFiles } from './picture-files.js'

export interface PredictOptions extends WatchOptions, RuntimeChoice {
  /** Number of classes in `top` of each picture. Default: 5. */
  readonly top?: number | undefined
}

/** A class and its probability. */
export interface Candidate {
  readonly index: number
  readonly label: string
  readonly probability: number
}

/** The prediction for one picture. */
export interface Prediction extends Candidate {
  readonly image: string
  /** One per class, as the model computes them. */
  readonly logits: readonly number[]
  /** The most probable classes, the first being the prediction itself. */
  readonly top: readonly Candidate[]
}

const BATCH = 32

/**
 * Predicts the classes of pictures, preprocessed as the checkpoint says.
 *
 * @example
 * const [cat] = await predictPictures('vit-cifar10', ['cat.png'])
 * console.log(cat!.label, cat!.probability)
 * @param name a checkpoint: a folder, an ONNX file, a bundled name, or `owner/name` on the hub
 * @param given PNG, JPEG or WebP files, or folders with such files
 * @returns one prediction for each picture, in the order given; those of a folder by name
 * @throws InputError if the checkpoint or a picture is amiss
 */
export async function predictPictures(
  name: string,
  given: readonly string[],
  { top = 5, threads, device, monitor = silent, signal }: PredictOptions = {},
): Promise<readonly Prediction[]> {
  const files = await pictureFiles(given)
  const checkpoint = await openCheckpoint(name, monitor)
  assertMakesInput(checkpoint, name)
  const runtime = startRuntime({ threads, device })
  const bar = files.length > BATCH ? monitor.progress('pictures', files.length) : undefined
  try {
    const predictions: Prediction[] = []
    for (let start = 0; start < files.length; start += BATCH) {
      signal?.throwIfAborted()
      const part = files.slice(start, start + BATCH)
      predictions.push(...(await predictPart(runtime, checkpoint, part, top)))
      bar?.update(predictions.length)
    }
    return predictions
  } finally {
    bar?.stop()
    await runtime.close()
  }
}

async function predictPart(
  runtime: Runtime,
  { model, weights, preprocessing }: ReadCheckpoint,
  files: readonly string[],
  top: number,
): Promise<Prediction[]> {
  const side = model.imageSize
  const pictures = await Promise.all(
    files.map(
      async file => preprocess(await readPicture(file, 'picture', decodePicture), preprocessing).pixels,
    ),
  )
  const pixels = new Uint8Array(files.length * 3 * side * side)
  pictures.forEach((picture, i) => {
    pixels.set(picture, i * picture.length)
  })
  const images = pixelsInMemory(pixels, { height: side, width: side })
  const logits = await classify(runtime, model, weights, images, files.length)
  return files.map((image, i) => {
    const row = Array.from(logits[i]!)
    const candidates = candidatesOf(row, model.classNames)
    return { image, ...candidates[0]!, logits: row, top: candidates.slice(0, top) }
  })
}

/** Every class with its probability, the most probable first. */
function candidatesOf(logits: readonly number[], classNames: readonly string[]): Candidate[] {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const powers = logits.map(logit => Math.exp(logit - largest))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers
    .map((power, index) => ({ index, label: classNames[index]!, probability: power / sum }))
    .sort((a, b) => b.probability - a.probability || a.index - b.index)
}

function assertMakesInput({ model, preprocessing }: ReadCheckpoint, name: string): void {
  if (model.classNames.length === 0)
    throw new InputError(
      `${name} has no classifier, so it cannot predict: fine-tune it first with 'ageb train --from ${name}'`,
    )
  const side = inputSide(preprocessing)
  if (side !== model.imageSize) {
    throw new InputError(
      `${name}: preprocessor_config.json makes pictures of ${side ? `${side}×${side}` : 'no fixed size'}, ` +
        `but the model takes ${model.imageSize}×${model.imageSize}: correct 'size' in one of the files`,
    )
  }
}
