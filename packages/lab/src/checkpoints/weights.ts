import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { Model } from '../models/model.js'
import type { ReadableFiles } from './checkpoint.js'
import type { CheckpointTensor, CheckpointTensors } from './checkpoint-tensor.js'
import { readJson } from './read-json.js'
import { assertFinite, openSafetensors } from './safetensors.js'
import { quote } from './safetensors-format.js'
import { openTorch } from './torch-file.js'

// A plain name: nothing that could lead out of the folder.
const shardName = z
  .string()
  .max(255)
  .regex(/^[\w-][\w.-]*\.safetensors$/, 'only a .safetensors file beside the index can be named')
const shardIndex = z.object({ weight_map: z.record(z.string(), shardName) })

/**
 * The files that a model.safetensors.index.json names, each once.
 * @param folder the folder's name, for messages.
 * @throws InputError if it is no index, or names a file outside of its folder.
 */
export function shardNames(index: string, folder: string): string[] {
  const { weight_map } = readJson(index, shardIndex, `${folder}/model.safetensors.index.json`)
  return [...new Set(Object.values(weight_map))].toSorted()
}

/** The weights of a checkpoint, not read yet. */
export interface OpenWeights {
  readonly tensors: CheckpointTensors
  /** Where they were found, for the user. */
  readonly remarks: readonly string[]
}

/**
 * Opens the weights of a checkpoint: a safetensors file, the shards that an index names, or a file of torch.save.
 * @throws InputError if there are none, or a file is damaged.
 */
export function openWeights(files: ReadableFiles, folder: string): OpenWeights {
  const single = files['model.safetensors']
  const index = files['model.safetensors.index.json']
  if (single) return { tensors: new Map(openFile(single, `${folder}/model.safetensors`)), remarks: [] }
  if (index !== undefined) return { tensors: openShards(files, index, folder), remarks: [] }
  if (files.torch) return openTorch(files.torch.bytes, `${folder}/${files.torch.name}`)
  throw new InputError(
    `${folder} has no model.safetensors: give the folder of a Hugging Face or timm checkpoint in that format`,
  )
}

function openShards(files: ReadableFiles, index: string, folder: string): CheckpointTensors {
  const tensors = new Map<string, CheckpointTensor>()
  for (const shard of shardNames(index, folder)) {
    const file = `${folder}/${shard}`
    const bytes = files.shards && Object.hasOwn(files.shards, shard) ? files.shards[shard] : undefined
    if (!bytes)
      throw new InputError(`${file} is missing, which model.safetensors.index.json names: fetch it again`)
    for (const [name, tensor] of openFile(bytes, file)) {
      const other = tensors.get(name)
      if (other) throw new InputError(`${file} has the tensor ${quote(name)}, which ${other.file} has, too`)
      tensors.set(name, tensor)
    }
  }
  const { weight_map } = readJson(index, shardIndex, `${folder}/model.safetensors.index.json`)
  for (const [name, shard] of Object.entries(weight_map)) {
    if (tensors.get(name)?.file !== `${folder}/${shard}`) {
      throw new InputError(
        `${folder}/${shard} has no tensor ${quote(name)}, which model.safetensors.index.json places there`,
      )
    }
  }
  return tensors
}

function openFile(bytes: Uint8Array, file: string): [string, CheckpointTensor][] {
  return [...openSafetensors(bytes, file).tensors].map(([name, tensor]) => [
    name,
    { ...tensor, file, storedAs: name },
  ])
}

/** Tensors that classifiers do without: of poolers, of masked-image training, and what can be computed. */
const UNUSED = /(^|\.)(pooler\..*|mask_token|num_batches_tracked|relative_position_index|position_ids)$/

/**
 * The weights of a model as float32. Shapes are compared before any value is read.
 * @param describedBy what says how the model is made, for messages.
 * @throws InputError naming the tensors that are missing, of another shape or left over, or a value that is no number.
 */
export function takeWeights(
  model: Model,
  tensors: CheckpointTensors,
  folder: string,
  describedBy = 'config.json',
) {
  const file = [...tensors.values()][0]?.file ?? `${folder}/model.safetensors`
  // A head of no classes has no values, and nothing stands for it in a file.
  const parameters = Object.entries(model.parameters).filter(([, { shape }]) => !shape.includes(0))
  const missing = parameters.map(([name]) => name).filter(name => !tensors.has(name))
  if (missing.length > 0) {
    throw new InputError(
      `${file} has no ${some(missing.map(name => `'${name}'`))}, which ${describedBy} asks for: ` +
        'the two do not belong together',
    )
  }
  for (const [name, { shape }] of parameters) {
    const stored = tensors.get(name)!
    if (stored.shape.join() === shape.join()) continue
    throw new InputError(
      `${stored.file}: '${stored.storedAs}' has shape [${stored.shape.join(', ')}], ` +
        `but ${describedBy} asks for [${shape.join(', ')}]`,
    )
  }
  const leftOver = [...tensors].filter(
    ([name]) => !Object.hasOwn(model.parameters, name) && !UNUSED.test(name),
  )
  if (leftOver.length > 0) {
    const list = some(leftOver.map(([, { storedAs }]) => quote(storedAs)))
    throw new InputError(`${file} has ${list}, which ${describedBy} does not ask for`)
  }
  return Object.fromEntries(
    Object.entries(model.parameters).map(([name, { shape }]) => [
      name,
      shape.includes(0) ? new Float32Array() : floats(tensors.get(name)!),
    ]),
  )
}

/** `tensor 'a'`, or `tensors 'a', 'b', 'c' and 9 more`. */
function some(names: readonly string[]): string {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
  return `tensor${names.length > 1 ? 's' : ''} ${names.slice(0, 3).join(', ')}${more}`
}

/** A copy of the values, so that the file's bytes need not be kept. */
function floats({ read, file, storedAs }: CheckpointTensor): Float32Array {
  const { dtype, data } = read()
  if (!(data instanceof Float32Array || data instanceof Float64Array))
    throw new InputError(
      `${file}: ${quote(storedAs)} is of ${dtype}, where floating-point numbers are expected`,
    )
  const values = Float32Array.from(data)
  assertFinite(storedAs, values, file)
  return values
}
