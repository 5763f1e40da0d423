import { InputError } from 'onnxgrad'
import type { ReadableFiles, ReadCheckpoint } from './checkpoint.js'
import type { CheckpointTensors } from './checkpoint-tensor.js'
import { otherSize, type PlainObject, plainObject, readConfiguration } from './configuration.js'
import { exportFromPython } from './export-hint.js'
import { fit } from './fit.js'
import { headOf } from './head.js'
import { inputSide, preprocessingFrom, preprocessingOf } from './preprocessing.js'
import { readJson } from './read-json.js'
import { isRecognized, recognize, withoutPrefix } from './recognize.js'
import { quote } from './safetensors-format.js'
import { fromTimm, isTimm } from './timm.js'
import { openWeights, takeWeights } from './weights.js'

/**
 * Reads a checkpoint of `transformers`, of timm or of torchvision. One without a classifier, such as that of a ViTModel,
 * gives a model of no classes.
 *
 * Without a config.json, a model of timm or torchvision is told from the names and shapes of its tensors; so it is with
 * one that names no model, whose keys then go before what the shapes tell.
 *
 * @param folder the folder's name, for messages.
 * @throws InputError naming the file and the key, tensor or value that is wrong.
 */
export function fromHuggingFace(files: ReadableFiles, folder: string): ReadCheckpoint {
  const { config, preprocessing, tensors, remarks: noted, describedBy } = sourceOf(files, folder)
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
  const stored = { model, weights: takeWeights(model, named, folder, describedBy), provenance }
  const imageSize = family.interpolates && preprocessing ? inputSide(preprocessing) : undefined
  return {
    ...fit(stored, { classNames: model.classNames, imageSize, seed: 0 }),
    problemType,
    remarks: [...noted, ...remarks, ...otherSize(model.imageSize, imageSize, file)],
    preprocessing: preprocessing ?? preprocessingOf({ size: model.imageSize }, file),
  }
}

/** The files in the terms of Hugging Face, whoever wrote them. */
function sourceOf(files: ReadableFiles, folder: string) {
  const { 'config.json': text, 'preprocessor_config.json': preprocessor } = files
  const file = `${folder}/config.json`
  if (text === undefined && !hasWeights(files))
    throw new InputError(`${folder} has no config.json: give the folder of a Hugging Face or timm checkpoint`)
  const config = text === undefined ? {} : readJson(text, plainObject, file)
  const opened = openWeights(files, folder)
  const { tensors, prefix } = withoutPrefix(opened.tensors)
  const remarks = [...opened.remarks]
  if (prefix && prefix !== TIMM_WRAPPER)
    remarks.push(`${weightsFile(tensors, folder)}: '${prefix}' in front of every tensor's name was left out`)
  const own = { tensors, remarks, describedBy: 'config.json' }
  if (isTimm(config)) return { ...own, ...fromTimm(config, tensors, folder) }
  const sideOf = ({ image_size }: PlainObject) => (typeof image_size === 'number' ? image_size : undefined)
  const typeOf = ({ model_type }: PlainObject) => (typeof model_type === 'string' ? model_type : undefined)
  if (isRecognized(tensors)) {
    const known = recognize(tensors, config, weightsFile(tensors, folder))
    const read = preprocessingFrom(preprocessor, sideOf(known.config), folder, typeOf(known.config))
    if (!read) remarks.push(`${weightsFile(tensors, folder)}: ${WITHOUT_PREPROCESSOR}`)
    const preprocessing = read ?? preprocessingOf({ size: sideOf(known.config), ...imageNet }, file)
    const describedBy = `the ${known.config.model_type} that the other tensors make`
    return { ...own, ...known, preprocessing, describedBy, remarks: [...remarks, ...known.remarks] }
  }
  if (text === undefined || !('model_type' in config)) throw unrecognized(tensors, folder, text === undefined)
  return {
    ...own,
    config,
    preprocessing: preprocessingFrom(preprocessor, sideOf(config), folder, typeOf(config)),
  }
}

/** What `transformers` puts before the names of a timm model that it wraps. */
const TIMM_WRAPPER = 'timm_model.'
/** Of ImageNet's pictures, with which published models are trained. */
const imageNet = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] }
const WITHOUT_PREPROCESSOR =
  "without a preprocessor_config.json beside it, pictures are normalized with ImageNet's mean and deviation"

const hasWeights = (files: ReadableFiles) =>
  files['model.safetensors'] !== undefined ||
  files['model.safetensors.index.json'] !== undefined ||
  files.torch !== undefined

const weightsFile = (tensors: CheckpointTensors, folder: string) =>
  [...tensors.values()][0]?.file ?? `${folder}/model.safetensors`

function unrecognized(tensors: CheckpointTensors, folder: string, alone: boolean): InputError {
  const some = [...tensors.keys()].slice(0, 3).map(quote).join(', ')
  const lack = alone ? 'and there is no config.json beside it' : "and config.json has no 'model_type'"
  return new InputError(
    `${weightsFile(tensors, folder)} has tensors such as ${some}, which are not the names of a ViT of timm or of a ` +
      `ViT or Swin Transformer of torchvision, ${lack}; if it is of another family, ${exportFromPython}`,
  )
}

/** Tensors of a class without classifier have names without the prefix that they have as a part of one with it. */
function withPrefix(tensors: CheckpointTensors, prefix: string, head: readonly string[]): CheckpointTensors {
  if ([...tensors.keys()].some(name => name.startsWith(prefix))) return tensors
  return new Map(
    [...tensors].map(([name, tensor]) => [head.includes(name) ? name : `${prefix}${name}`, tensor]),
  )
}
