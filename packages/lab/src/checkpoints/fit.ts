import { InputError } from 'onnxgrad'
import { initialValues } from '../models/model.js'
import { rng } from '../random/rng.js'
import type { Checkpoint } from './checkpoint.js'
import { familyOf } from './configuration.js'
import { fitImported } from './fit-imported.js'
import type { FitOptions } from './fit-options.js'
import { headOf } from './head.js'
import { isImported } from './imported-checkpoint.js'
import { interpolatePositions } from './interpolate-positions.js'

/**
 * A checkpoint for another task. If its classes are not those asked for, name by name, its head is made anew; for
 * another image size, position embeddings are interpolated. All else stays, the provenance too; a preprocessing made
 * for another task does not.
 *
 * @throws InputError if the model's parts do not fit that image size, or it was read from ONNX and cannot be trained.
 */
export function fit(checkpoint: Checkpoint, { classNames, imageSize, seed }: FitOptions): Checkpoint {
  if (isImported(checkpoint)) return fitImported(checkpoint, { classNames, imageSize, seed })
  const { model, weights } = checkpoint
  const side = imageSize ?? model.imageSize
  const sameClasses =
    classNames.length === model.classNames.length &&
    classNames.every((name, i) => name === model.classNames[i])
  const family = familyOf(model)!
  if (sameClasses && side === model.imageSize) {
    // Training tells classes apart by a softmax, whatever they were before.
    const { problemType, ...single } = checkpoint
    return problemType ? single : checkpoint
  }
  const build = (names: readonly string[]) => {
    try {
      const { channels, mean, std } = model
      const task = { classNames: names, channels, mean, std }
      return family.build({ ...model.config, image_size: side }, task)
    } catch (error) {
      throw new InputError(
        `a ${model.modelType} of image size ${model.imageSize} cannot be fitted to ${side}: ${(error as Error).message}`,
      )
    }
  }
  const fitted = build(classNames)
  const head = sameClasses ? [] : headOf(build([]))
  const adapt = (name: string): Float32Array => {
    const parameter = fitted.parameters[name]!
    if (head.includes(name)) return initialValues(parameter, rng(seed, 'head', name))
    const [old, now] = [model.parameters[name]?.shape, parameter.shape]
    if (old?.join() === now.join()) return weights[name]!
    const [before, after] = [model.parameters[name]?.positions, parameter.positions]
    if (before && after) {
      const { leading, side: from, antialias } = before
      return interpolatePositions(weights[name]!, {
        width: now[2]!,
        leading,
        from,
        to: after.side,
        antialias,
      })
    }
    throw new InputError(
      `a ${model.modelType} of image size ${model.imageSize} cannot be fitted to ${side}: its ${name} ` +
        `would change from [${old?.join(', ') ?? ''}] to [${now.join(', ')}]`,
    )
  }
  return {
    provenance: checkpoint.provenance,
    model: fitted,
    weights: Object.fromEntries(Object.keys(fitted.parameters).map(name => [name, adapt(name)])),
  }
}
