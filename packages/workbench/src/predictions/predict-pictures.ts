import { inputSide, preprocess, type ReadCheckpoint } from '@ageb/lab'
import { InputError, type RuntimeChoice } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { openCheckpoint } from '../checkpoints/open-checkpoint.js'
import { decodeOnWhite, decodePicture } from '../data/decode.js'
import { readPicture } from '../pictures/read-picture.js'
import { silent, type WatchOptions } from '../runs/monitor.js'
import { type PictureClassifier, pictureClassifier } from './picture-classifier.js'
import { pictureFiles } from './picture-files.js'
import { probabilities } from './probabilities.js'

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
  assertPredicts(checkpoint, name)
  const { model, weights } = checkpoint
  const runtime = startRuntime({ threads, device })
  const bar = files.length > BATCH ? monitor.progress('pictures', files.length) : undefined
  let classifier: PictureClassifier | undefined
  try {
    classifier = await pictureClassifier(runtime, model, weights, Math.min(BATCH, files.length))
    const predictions: Prediction[] = []
    for (let start = 0; start < files.length; start += BATCH) {
      signal?.throwIfAborted()
      const part = files.slice(start, start + BATCH)
      predictions.push(...(await predictPart(classifier, checkpoint, part, top)))
      bar?.update(predictions.length)
    }
    return predictions
  } finally {
    bar?.stop()
    await classifier?.release()
    await runtime.close()
  }
}

async function predictPart(
  classifier: PictureClassifier,
  { model, preprocessing, problemType }: ReadCheckpoint,
  files: readonly string[],
  top: number,
): Promise<Prediction[]> {
  const pictures = await Promise.all(
    files.map(async file => {
      const decode = preprocessing.background === 'white' ? decodeOnWhite : decodePicture
      return preprocess(await readPicture(file, 'picture', decode), preprocessing)
    }),
  )
  const logits = await classifier.logits(pictures)
  return files.map((image, i) => {
    const row = Array.from(logits[i]!)
    const candidates = probabilities(row, problemType)
      .map((probability, index) => ({ index, label: model.classNames[index]!, probability }))
      .sort((a, b) => b.probability - a.probability || a.index - b.index)
    return { image, ...candidates[0]!, logits: row, top: candidates.slice(0, top) }
  })
}

function assertPredicts({ model, preprocessing, problemType }: ReadCheckpoint, name: string): void {
  if (model.classNames.length === 0)
    throw new InputError(
      `${name} has no classifier, so it cannot predict: fine-tune it first with 'ageb train --from ${name}'`,
    )
  if (problemType === 'regression')
    throw new InputError(`${name} predicts numbers and not classes: its 'problem_type' is regression`)
  const side = inputSide(preprocessing)
  if (side !== model.imageSize) {
    throw new InputError(
      `${name}: preprocessor_config.json makes pictures of ${side ? `${side}×${side}` : 'no fixed size'}, ` +
        `but the model takes ${model.imageSize}×${model.imageSize}: correct 'size' in one of the files`,
    )
  }
}
