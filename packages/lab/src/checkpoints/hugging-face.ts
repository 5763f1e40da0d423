import { InputError } from 'onnxgrad'
import type { ReadableFiles, ReadCheckpoint } from './checkpoint.js'
import { plainObject, readConfiguration } from './configuration.js'
import { headOf } from './head.js'
import { preprocessingFrom, preprocessingOf } from './preprocessing.js'
import { readJson } from './read-json.js'
import { fromTimm, isTimm } from './timm.js'
import { type CheckpointTensors, openWeights, takeWeights } from './weights.js'

/**
 * Reads a checkpoint of `transformers`, or of timm in safetensors. One without a classifier, such as that of a
 * ViTModel, gives a model of no classes.
 *
 * @param folder the folder's name, for messages.
 * @throws InputError naming the file and the key, tensor or value that is wrong.
 */
export function fromHuggingFace(files: ReadableFiles, folder: string): ReadCheckpoint {
  const { config, preprocessing, tensors } = sourceOf(files, folder)
  const file = `${folder}/config.json`
  const { family, classNames, provenance, problemType, remarks, build } = readConfiguration(
    config,
    preprocessing,
    file,
  )
  const headless = build([])
  const head = headOf(headless)
  const named = withPrefix(tensors, `${family.modelType}.`, head)
  const model = head.some(name => named.has(name)) ? build(classNames) : headless
  return {
    model,
    weights: takeWeights(model, named, folder),
    provenance,
    problemType,
    remarks,
    preprocessing: preprocessing ?? preprocessingOf({ size: model.imageSize }, file),
  }
}

/** The files in the terms of Hugging Face, whoever wrote them. */
function sourceOf(files: ReadableFiles, folder: string) {
  const { 'config.json': text, 'preprocessor_config.json': preprocessor } = files
  if (text === undefined)
    throw new InputError(`${folder} has no config.json: give the folder of a Hugging Face or timm checkpoint`)
  const config = readJson(text, plainObject, `${folder}/config.json`)
  const tensors = openWeights(files, folder)
  if (isTimm(config)) return fromTimm(config, tensors, folder)
  const side = typeof config.image_size === 'number' ? config.image_size : undefined
  const modelType = typeof config.model_type === 'string' ? config.model_type : undefined
  return { config, preprocessing: preprocessingFrom(preprocessor, side, folder, modelType), tensors }
}

/** Tensors of a class without classifier have names without the prefix that they have as a part of one with it. */
function withPrefix(tensors: CheckpointTensors, prefix: string, head: readonly string[]): CheckpointTensors {
  if ([...tensors.keys()].some(name => name.startsWith(prefix))) return tensors
  return new Map(
    [...tensors].map(([name, tensor]) => [head.includes(name) ? name : `${prefix}${name}`, tensor]),
  )
}
