import { type ExternalData, InputError, type OnnxModel, readOnnx } from 'onnxgrad'
import { z } from 'zod'
import { importedModel } from '../models/imported.js'
import type { Model } from '../models/model.js'
import {
  type ProblemType,
  type Provenance,
  problemType,
  provenance,
  type ReadCheckpoint,
} from './checkpoint.js'
import { otherSize, type PlainObject, plainObject } from './configuration.js'
import { imageProcessorClass } from './image-processors.js'
import { labels, namesOf } from './labels.js'
import { inputSide, type Preprocessing, preprocessingFrom, preprocessingOf } from './preprocessing.js'
import { checkJson, readJson } from './read-json.js'
import { inPresentForm, isTimm, timmCommon, timmLabels } from './timm.js'
import { timmInputSide, timmPreprocessing } from './timm-preprocessing.js'

/** A classifier as ONNX, and what Optimum, or timm, puts beside it. */
export interface OnnxFiles {
  readonly onnx: Uint8Array
  /** Reads the files in which the model keeps its weights, if it does. */
  readonly externalData?: ExternalData
  readonly 'config.json'?: string
  readonly 'preprocessor_config.json'?: string
}

/** What is read of a config.json: the file itself says the rest. */
const config = z.object({
  model_type: z.string().nullish(),
  id2label: labels.nullish(),
  image_size: z.union([z.int(), z.tuple([z.int(), z.int()])]).nullish(),
  problem_type: problemType.nullish(),
  ageb: provenance.optional(),
})

/**
 * Reads a classifier that PyTorch, timm or Optimum wrote as ONNX (opset 13 to 21, float32). Class names, image size
 * and preprocessing are those of the files beside it. Without these, classes are numbered, and pictures are squeezed
 * into the input and normalized to [−1, 1].
 *
 * @param file the ONNX file's name, for messages.
 * @throws InputError that says what is wrong or not supported, and where.
 */
export function fromOnnx(files: OnnxFiles, file: string): ReadCheckpoint {
  const folder = file.replace(/[^/\\]*$/, '').replace(/[/\\]$/, '') || '.'
  const described = describe(files, folder)
  const { preprocessing } = described
  const onnx = within(file, () => readOnnx(files.onnx, files))
  const model = within(file, () =>
    importedModel(
      onnx,
      {
        classNames: described.classNames,
        channels: preprocessing?.channels,
        mean: preprocessing?.mean,
        std: preprocessing?.std,
      },
      (preprocessing && inputSide(preprocessing)) ?? described.side,
    ),
  )
  return {
    model,
    weights: weightsOf(onnx, model, file),
    provenance: knownHistory(described.provenance, historyOf(onnx)),
    // What the file does decides, where nothing beside it says.
    problemType: described.problemType ?? (model.endsInSigmoid ? 'multi_label_classification' : undefined),
    remarks: otherSize(described.side, preprocessing && inputSide(preprocessing), `${folder}/config.json`),
    preprocessing: preprocessing ?? preprocessingOf({ size: model.imageSize }, file),
  }
}

/** What the files beside a model say of it. */
interface Description {
  readonly classNames?: readonly string[] | undefined
  /** Side of its square input, according to config.json. */
  readonly side?: number | undefined
  readonly preprocessing: Preprocessing | undefined
  readonly problemType?: ProblemType | undefined
  readonly provenance?: Provenance | undefined
}

function describe(files: OnnxFiles, folder: string): Description {
  const file = `${folder}/config.json`
  const plain = readJson(files['config.json'] ?? '{}', plainObject, file)
  const preprocessor = files['preprocessor_config.json']
  if (isTimm(plain)) return describeTimm(plain, preprocessor, folder)
  const { id2label, image_size, model_type, problem_type, ageb } = checkJson(plain, config, file)
  const side = (Array.isArray(image_size) ? image_size[0] : image_size) ?? undefined
  const modelType = model_type ?? undefined
  const read = preprocessingFrom(preprocessor, side, folder, modelType)
  const named = read?.file.image_processor_type ?? read?.file.feature_extractor_type
  return {
    classNames: id2label ? namesOf(id2label, file) : undefined,
    side,
    // A config.json of this project has no model_type: what it decides has to be written down.
    preprocessing:
      read && named == null
        ? { ...read, file: { ...read.file, image_processor_type: imageProcessorClass(modelType) } }
        : read,
    problemType: problem_type ?? undefined,
    provenance: ageb,
  }
}

/** timm's own config.json, whose `pretrained_cfg` says what a preprocessor_config.json would. */
function describeTimm(plain: PlainObject, preprocessor: string | undefined, folder: string): Description {
  const file = `${folder}/config.json`
  const timm = checkJson(inPresentForm(plain), timmCommon, file)
  const { id2label } = timmLabels(timm, file)
  const side = timmInputSide(timm.pretrained_cfg, file) ?? 224
  return {
    classNames: id2label && namesOf(id2label, file),
    side,
    preprocessing:
      preprocessingFrom(preprocessor, side, folder) ?? timmPreprocessing(timm.pretrained_cfg, side, file),
  }
}

/** Says which file a fault is in. */
function within<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${file}: ${error.message}`, { cause: error })
    throw error
  }
}

function weightsOf({ parameters }: OnnxModel, model: Model, file: string): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.keys(model.parameters).map(name => {
      const { dtype, data } = parameters[name]!
      if (dtype !== 'float32')
        throw new InputError(`${file}: the weights '${name}' are ${dtype}: export the model in float32`)
      const values = data as Float32Array
      if (!values.every(Number.isFinite))
        throw new InputError(`${file}: the weights '${name}' have a value that is no finite number`)
      return [name, values]
    }),
  )
}

/** What this program wrote into the file. */
function historyOf({ metadata }: OnnxModel): Provenance | undefined {
  const written = metadata.properties.ageb
  return written === undefined ? undefined : readJson(written, provenance, "the file's metadata")
}

/** Of several histories the first, but a poisoned one goes before: a file may have lost what lay beside it. */
function knownHistory(...written: readonly (Provenance | undefined)[]): Provenance {
  const known = written.filter(history => history !== undefined)
  return known.find(({ poisoned }) => poisoned) ?? known[0] ?? { poisoned: false, note: 'unknown origin' }
}
