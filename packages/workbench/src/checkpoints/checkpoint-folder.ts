import { mkdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import {
  type Checkpoint,
  fromHuggingFace,
  fromOnnx,
  type ReadableFiles,
  type ReadCheckpoint,
  shardNames,
  toHuggingFace,
  type WriteOptions,
} from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { writeFileWhole } from '../files/write-file.js'
import { parseHubId } from '../hub/hub.js'
import { bundledModels } from './bundled-models.js'
import { fetchCheckpoint } from './hub-checkpoint.js'
import { isOnnxFile, onnxFileIn, readOnnxFiles } from './onnx-files.js'

export interface LoadOptions {
  /** Whether it may lack a classifier: its model then has no classes, and `fit` gives it some. Default: false. */
  readonly withoutClassifier?: boolean
  /** Told what is worth knowing but stops nothing; standard error if not given. */
  readonly warn?: (message: string) => void
}

/**
 * Reads a checkpoint of `transformers`, or of timm in safetensors, or a classifier in ONNX.
 * @param model a folder, an ONNX file, the name of a bundled model, or `owner/name` or `owner/name@revision` on the hub.
 * @throws InputError if any of it is amiss.
 */
export async function loadCheckpoint(model: string, options: LoadOptions = {}): Promise<ReadCheckpoint> {
  const checkpoint = await read(model, options)
  for (const remark of checkpoint.remarks ?? []) (options.warn ?? toStandardError)(remark)
  if (checkpoint.model.classNames.length === 0 && !options.withoutClassifier) {
    throw new InputError(
      `${model} has no classifier, so it cannot tell classes apart: fine-tune it with 'ageb train --from ${model}'`,
    )
  }
  return checkpoint
}

/** Writes a checkpoint in the Hugging Face layout into a folder, which is made if need be. */
export async function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  options?: WriteOptions,
): Promise<void> {
  const files = toHuggingFace(checkpoint, options)
  await mkdir(folder, { recursive: true })
  for (const [name, data] of Object.entries(files)) {
    await writeFileWhole(path.join(folder, name), data)
  }
}

async function read(model: string, options: LoadOptions): Promise<ReadCheckpoint> {
  if (await isOnnxFile(model)) return fromOnnx(await readOnnxFiles(model), model)
  const folder = await folderOf(model, options)
  const files = await readFiles(folder)
  const onnx = hasWeights(files) ? undefined : await onnxFileIn(folder)
  return onnx === undefined ? fromHuggingFace(files, folder) : fromOnnx(await readOnnxFiles(onnx), onnx)
}

const hasWeights = (files: ReadableFiles) =>
  'model.safetensors' in files || 'model.safetensors.index.json' in files

async function folderOf(model: string, { warn = toStandardError }: LoadOptions): Promise<string> {
  if (Object.hasOwn(bundledModels, model)) return bundledModels[model]!
  const stats = await stat(model).catch(() => null)
  if (stats?.isDirectory()) return model
  const hub = path.isAbsolute(model) || stats ? undefined : parseHubId(model)
  if (hub) return fetchCheckpoint(hub, warn)
  const names = Object.keys(bundledModels).join(', ')
  throw new InputError(
    `there is no checkpoint folder '${model}': check the path, or name a bundled model (${names}) ` +
      'or one on the hub (owner/name)',
  )
}

async function readFiles(folder: string): Promise<ReadableFiles> {
  const read = async (name: string) => {
    try {
      return await readFile(path.join(folder, name))
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return undefined
      const problem =
        code === 'ERR_FS_FILE_TOO_LARGE' ? 'it is larger than 2 GiB: save it in shards' : message
      throw new InputError(`${path.join(folder, name)} cannot be read: ${problem}`)
    }
  }
  const [config, preprocessor, weights] = await Promise.all([
    read('config.json'),
    read('preprocessor_config.json'),
    read('model.safetensors'),
  ])
  const described = {
    ...(config && { 'config.json': config.toString('utf8') }),
    ...(preprocessor && { 'preprocessor_config.json': preprocessor.toString('utf8') }),
  }
  if (weights) return { ...described, 'model.safetensors': weights }
  const index = (await read('model.safetensors.index.json'))?.toString('utf8')
  if (index === undefined) return described
  const shards: Record<string, Uint8Array> = {}
  for (const name of shardNames(index, folder)) {
    const shard = await read(name)
    if (shard) shards[name] = shard
  }
  return { ...described, 'model.safetensors.index.json': index, shards }
}

function toStandardError(message: string): void {
  process.stderr.write(`${message}\n`)
}
