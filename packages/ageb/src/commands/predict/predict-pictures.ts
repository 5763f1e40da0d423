import { readFile } from 'node:fs/promises'
import { inputSide, type Preprocessing, preprocess, type ReadCheckpoint } from '@ageb/lab'
import type { Monitor } from '@ageb/workbench'
import {
  decodeOnWhite,
  decodePicture,
  loadCheckpoint,
  percent,
  type Row,
  warnIfPoisoned,
} from '@ageb/workbench'
import { InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import type { MachineFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'
import { type PictureClassifier, pictureClassifier } from './picture-classifier.js'
import { pictureFiles } from './picture-files.js'
import { probabilities } from './probabilities.js'

export interface PredictFlags extends MachineFlags {
  readonly top: number
}

/** A class and its probability. */
interface Candidate {
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

/** Classifies pictures, preprocessed as the checkpoint says. */
export async function predictPictures(
  name: string,
  given: readonly string[],
  flags: PredictFlags,
  terminal: Monitor,
): Promise<Outcome> {
  const [checkpoint, files] = await Promise.all([
    loadCheckpoint(name, { warn: terminal.say }),
    pictureFiles(given),
  ])
  warnIfPoisoned(terminal, name, checkpoint)
  assertPredicts(checkpoint, name)
  const { model, weights } = checkpoint
  const runtime = startRuntime({ threads: flags.threads, device: flags.device })
  const bar = files.length > BATCH ? terminal.progress('pictures', files.length) : undefined
  let classifier: PictureClassifier | undefined
  try {
    classifier = await pictureClassifier(runtime, model, weights, Math.min(BATCH, files.length))
    const predictions: Prediction[] = []
    for (let start = 0; start < files.length; start += BATCH) {
      const part = files.slice(start, start + BATCH)
      predictions.push(...(await predictPart(classifier, checkpoint, part, flags.top)))
      bar?.update(predictions.length)
    }
    return {
      data: { model: name, ...(predictions.length === 1 && predictions[0]), predictions },
      text: table(predictions.flatMap(rows)),
    }
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
    files.map(async file => preprocess(await decode(file, preprocessing), preprocessing)),
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

async function decode(file: string, { background }: Preprocessing) {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new InputError(`the picture ${file} cannot be read (${error.code}): check the path`)
  })
  try {
    return await (background === 'white' ? decodeOnWhite : decodePicture)(bytes)
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]
    throw new InputError(`${file} cannot be decoded (${reason}): give a PNG, JPEG or WebP file`)
  }
}

function rows({ image, top }: Prediction): Row[] {
  return top.map(({ label, probability }, i) => [i === 0 ? image : '', label, percent(probability)])
}
