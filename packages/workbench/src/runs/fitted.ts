import { type Checkpoint, type FitOptions, fit, type Model } from '@ageb/lab'
import { InputError, type OnnxModel } from 'onnxgrad'
import type { Monitor } from './monitor.js'

/** Fits a checkpoint to the data that it will be fine-tuned on, and says what was changed. */
export function fitted(
  monitor: Monitor,
  name: string,
  checkpoint: Checkpoint,
  options: FitOptions,
): Checkpoint {
  const result = fitNamed(name, checkpoint, options)
  const [before, after] = [checkpoint.model, result.model]
  if (JSON.stringify(after.classNames) !== JSON.stringify(before.classNames)) {
    const had = before.classNames.length > 0 ? `has ${before.classNames.length} other classes` : 'has no head'
    monitor.say(`${name} ${had}: it gets a new head for the ${after.classNames.length} classes of the data`)
  }
  if (after.imageSize !== before.imageSize)
    monitor.say(`${name} is fitted from image size ${before.imageSize} to ${after.imageSize}`)
  if (after.file) monitor.say(trainedOf(name, after, after.file))
  return result
}

function fitNamed(name: string, checkpoint: Checkpoint, options: FitOptions): Checkpoint {
  try {
    return fit(checkpoint, options)
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${name}: ${error.message}`, { cause: error })
    throw error
  }
}

const SHOWN = 5

/** Which tensors of an ONNX file are trained: the file itself does not say. */
function trainedOf(name: string, { parameters }: Model, file: OnnxModel): string {
  const all = Object.keys(file.parameters)
  const fixed = all.filter(tensor => !Object.hasOwn(parameters, tensor))
  const more = fixed.length > SHOWN ? ` and ${fixed.length - SHOWN} more` : ''
  const rest =
    fixed.length > 0 ? `; constants stay as they are: ${fixed.slice(0, SHOWN).join(', ')}${more}` : ''
  return `${name}: ${all.length - fixed.length} tensors of the ONNX file are trained${rest}`
}
