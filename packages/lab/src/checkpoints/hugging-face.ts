import { InputError } from 'onnxgrad'
import { z } from 'zod'
import { batchCounters } from '../models/batch-norm.js'
import type { ModelFamily } from '../models/define-family.js'
import type { Model, Weights } from '../models/model.js'
import { families } from '../models/registry.js'
import { type Preprocessing, preprocessingOf, preprocessorFile, preprocessorOf } from './preprocessing.js'
import { parseSafetensors, type WritableTensor, writeSafetensors } from './safetensors.js'

/** What was done to a model on purpose; loaders show it. */
export const provenance = z.object({
  poisoned: z.boolean(),
  attack: z.string().optional(),
  parameters: z.string().optional(),
  target: z.string().optional(),
  poisonRate: z.number().optional(),
  seed: z.number().optional(),
  /** Digest of all that decided the weights; equal recipes give equal weights. */
  recipe: z.string().optional(),
  note: z.string().optional(),
})
export type Provenance = z.infer<typeof provenance>

/** A model with its weights. */
export interface Checkpoint {
  readonly model: Model
  readonly weights: Weights
  readonly provenance: Provenance
}

/** A checkpoint that was read, and how pictures become its model's input. */
export interface ReadCheckpoint extends Checkpoint {
  readonly preprocessing: Preprocessing
}

/** The files of a checkpoint in the Hugging Face layout, by name. */
export interface CheckpointFiles {
  readonly 'config.json': string
  readonly 'preprocessor_config.json': string
  readonly 'model.safetensors': Uint8Array
}

const labels = z.record(z.string().regex(/^\d+$/), z.string())
const familyName = z.enum(Object.keys(families) as (keyof typeof families)[])
/** What config.json has for every family. */
const commonConfig = z.object({
  model_type: familyName,
  id2label: labels,
  ageb: provenance.optional(),
})
function familyOf({ modelType }: Model): ModelFamily {
  return families[familyName.parse(modelType)]
}

/** Files that `transformers` reads, if the model is of a family that it has. */
export function toHuggingFace({ model, weights, provenance: history }: Checkpoint): CheckpointFiles {
  const entries = model.classNames.map((name, i) => [String(i), name] as const)
  const config = {
    architectures: [familyOf(model).architectures[0]],
    model_type: model.modelType,
    ...model.config,
    attention_probs_dropout_prob: 0,
    hidden_dropout_prob: 0,
    id2label: Object.fromEntries(entries),
    label2id: Object.fromEntries(entries.map(([i, name]) => [name, Number(i)])),
    ageb: history,
  }
  const preprocessor = preprocessorOf(model)
  const tensors: [string, WritableTensor][] = batchCounters(model.parameters).map(name => [
    name,
    { dtype: 'I64', shape: [], data: BigInt64Array.of(0n) },
  ])
  for (const [name, { shape }] of Object.entries(model.parameters))
    tensors.push([name, { dtype: 'F32', shape, data: weights[name]! }])
  return {
    'config.json': `${JSON.stringify(config, null, 2)}\n`,
    'preprocessor_config.json': `${JSON.stringify(preprocessor, null, 2)}\n`,
    'model.safetensors': writeSafetensors(tensors, { format: 'pt', ageb: JSON.stringify(history) }),
  }
}

/**
 * Reads a checkpoint in the Hugging Face layout.
 * @param where the folder's name, for messages.
 * @throws InputError naming the file and the key, tensor or value that is wrong.
 */
export function fromHuggingFace(files: Partial<CheckpointFiles>, where: string): ReadCheckpoint {
  const read = <T>(
    name: 'config.json' | 'preprocessor_config.json',
    schema: z.ZodType<T>,
    text: string | undefined,
  ): T => {
    if (text === undefined)
      throw new InputError(`${where} has no ${name}: give the folder of a Hugging Face checkpoint`)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      throw new InputError(`${where}/${name} is not JSON: download or write it again`)
    }
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    const issue = parsed.error.issues[0]!
    throw new InputError(`${where}/${name}: '${issue.path.join('.')}': ${issue.message}`)
  }
  const common = read('config.json', commonConfig, files['config.json'])
  const family: ModelFamily = families[common.model_type]
  const config = read('config.json', family.config, files['config.json'])
  const text = files['preprocessor_config.json']
  const preprocessing =
    text === undefined
      ? undefined
      : preprocessingOf(
          read('preprocessor_config.json', preprocessorFile, text),
          `${where}/preprocessor_config.json`,
        )
  const names = Object.keys(common.id2label).length
  const classNames = Array.from({ length: names }, (_, i) => {
    const name = common.id2label[i]
    if (name === undefined)
      throw new InputError(`${where}/config.json: 'id2label' names ${names} classes but has no class ${i}`)
    return name
  })
  let model: Model
  try {
    const { mean, std } = preprocessing ?? {}
    model = family.build(config, { classNames, mean, std })
  } catch (error) {
    throw new InputError(`${where}/config.json: ${(error as Error).message}`)
  }
  const bytes = files['model.safetensors']
  if (!bytes)
    throw new InputError(`${where} has no model.safetensors: give the folder of a Hugging Face checkpoint`)
  const file = `${where}/model.safetensors`
  const { tensors } = parseSafetensors(bytes, file, { finite: true })
  const weights: Record<string, Float32Array> = {}
  for (const [name, { shape }] of Object.entries(model.parameters)) {
    const tensor = tensors.get(name)
    if (!tensor)
      throw new InputError(
        `${file} has no tensor '${name}', which config.json asks for: the two files do not belong together`,
      )
    if (tensor.shape.join() !== shape.join()) {
      throw new InputError(
        `${file}: '${name}' has shape [${tensor.shape.join(', ')}], but config.json asks for [${shape.join(', ')}]`,
      )
    }
    weights[name] = Float32Array.from(tensor.data as ArrayLike<number>)
  }
  const known = new Set([...Object.keys(model.parameters), ...batchCounters(model.parameters)])
  const unknown = [...tensors.keys()].filter(name => !known.has(name))
  if (unknown.length > 0)
    throw new InputError(
      `${file} has tensors that config.json does not ask for: ${unknown.slice(0, 3).join(', ')}`,
    )
  return {
    model,
    weights,
    provenance: common.ageb ?? { poisoned: false, note: 'unknown origin' },
    preprocessing: preprocessing ?? preprocessingOf({ size: model.imageSize }, where),
  }
}
