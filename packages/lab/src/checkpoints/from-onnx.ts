import { type ExternalData, InputError, type OnnxModel, readOnnx } from 'onnxgrad'
import { z } from 'zod'
import { importedModel } from '../models/imported.js'
import type { Model } from '../models/model.js'
import { type Provenance, provenance, type ReadCheckpoint } from './checkpoint.js'
import { labels, namesOf } from './labels.js'
import { inputSide, preprocessingFrom, preprocessingOf } from './preprocessing.js'
import { readJson } from './read-json.js'

/** A classifier as ONNX, and what Optimum puts beside it. */
export interface OnnxFiles {
  readonly onnx: Uint8Array
  /** Reads the files in which the model keeps its weights, if it does. */
  readonly externalData?: ExternalData
  readonly 'config.json'?: string
  readonly 'preprocessor_config.json'?: string
}

/** What is read of a config.json: the file itself says the rest. */
const config = z.object({
  id2label: labels.nullish(),
  image_size: z.union([z.int(), z.tuple([z.int(), z.int()])]).nullish(),
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
  const described = readJson(files['config.json'] ?? '{}', config, `${folder}/config.json`)
  const { id2label, image_size } = described
  const square = Array.isArray(image_size) ? image_size[0] : image_size
  const preprocessing = preprocessingFrom(files['preprocessor_config.json'], square ?? undefined, folder)
  const onnx = within(file, () => readOnnx(files.onnx, files))
  const model = within(file, () =>
    importedModel(
      onnx,
      {
        classNames: id2label ? namesOf(id2label, `${folder}/config.json`) : undefined,
        mean: preprocessing?.mean,
        std: preprocessing?.std,
      },
      square ?? (preprocessing && inputSide(preprocessing)),
    ),
  )
  return {
    model,
    weights: weightsOf(onnx, model, file),
    provenance: described.ageb ?? historyOf(onnx),
    preprocessing: preprocessing ?? preprocessingOf({ size: model.imageSize }, file),
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

/** What `ageb model export` wrote into the file. */
function historyOf({ metadata }: OnnxModel): Provenance {
  const written = metadata.properties.ageb
  const unknown = { poisoned: false, note: 'unknown origin' }
  return written === undefined ? unknown : readJson(written, provenance, "the file's metadata")
}
