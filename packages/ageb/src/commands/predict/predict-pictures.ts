import { readFile } from 'node:fs/promises'
import { classify, inputSide, pixelsInMemory, preprocess, type ReadCheckpoint } from '@ageb/lab'
import type { Monitor } from '@ageb/workbench'
import { decodePicture, loadCheckpoint, percent, type Row, warnIfPoisoned } from '@ageb/workbench'
import { InputError, type Runtime } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import type { MachineFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'
import { pictureFiles } from './picture-files.js'

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
  const [checkpoint, files] = await Promise.all([loadCheckpoint(name), pictureFiles(given)])
  warnIfPoisoned(terminal, name, checkpoint)
  assertMakesInput(checkpoint, name)
  const runtime = startRuntime({ threads: flags.threads, device: flags.device })
  const bar = files.length > BATCH ? terminal.progress('pictures', files.length) : undefined
  try {
    const predictions: Prediction[] = []
    for (let start = 0; start < files.length; start += BATCH) {
      const part = files.slice(start, start + BATCH)
      predictions.push(...(await predictPart(runtime, checkpoint, part, flags.top)))
      bar?.update(predictions.length)
    }
    return {
      data: { model: name, ...(predictions.length === 1 && predictions[0]), predictions },
      text: table(predictions.flatMap(rows)),
    }
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
    files.map(async file => preprocess(await decode(file), preprocessing).pixels),
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

async function decode(file: string) {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new InputError(`the picture ${file} cannot be read (${error.code}): check the path`)
  })
  try {
    return await decodePicture(bytes)
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]
    throw new InputError(`${file} cannot be decoded (${reason}): give a PNG, JPEG or WebP file`)
  }
}

function rows({ image, top }: Prediction): Row[] {
  return top.map(({ label, probability }, i) => [i === 0 ? image : '', label, percent(probability)])
}
