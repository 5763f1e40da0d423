import { stat } from 'node:fs/promises'
import path from 'node:path'
import {
  type Checkpoint,
  checkpointFiles,
  fromHuggingFace,
  fromOnnx,
  type ReadableFiles,
  type ReadCheckpoint,
  type WriteOptions,
} from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { makeFolder, writeFileWhole } from '../files/write-file.js'
import { parseHubId } from '../hub/hub.js'
import { bundledModels } from './bundled-models.js'
import { isTorchFile, readFiles, readTorchFiles } from './checkpoint-files.js'
import { CHECKSUMS, checksumsOf } from './checksums.js'
import { fetchCheckpoint } from './hub-checkpoint.js'
import { isOnnxFile, onnxFileIn, readOnnxFiles } from './onnx-files.js'
import { otherFormat, otherFormatIn } from './other-formats.js'

export interface LoadOptions {
  /** Whether it may lack a classifier: its model then has no classes, and `fit` gives it some. Default: false. */
  readonly withoutClassifier?: boolean
  /** Told what is worth knowing but stops nothing; standard error if not given. */
  readonly warn?: (message: string) => void
}

/**
 * Reads a checkpoint of `transformers`, timm or torchvision, or a classifier in ONNX. `warn` is told what the files
 * leave open and was taken for granted.
 * @param model a folder, an ONNX file, a file of torch.save (.pt, .pth or .bin), the name of a bundled model, or `owner/name` or `owner/name@revision` on the hub.
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

/**
 * Writes a checkpoint into a folder, which is made if need be, with its checksums: in the Hugging Face layout, or as ONNX
 * if it was read from ONNX.
 * @throws InputError if it cannot be written
 */
export async function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  options?: WriteOptions,
): Promise<void> {
  await saveFiles(folder, checkpointFiles(checkpoint, options))
}

/** Writes files by name, and last their checksums. Throws InputError if one cannot be written. */
export async function saveFiles(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<void> {
  for (const [name, data] of Object.entries({ ...files, [CHECKSUMS]: checksumsOf(files) })) {
    await makeFolder(path.dirname(path.join(folder, name)))
    await writeFileWhole(path.join(folder, name), data)
  }
}

async function read(model: string, options: LoadOptions): Promise<ReadCheckpoint> {
  if (await isOnnxFile(model)) return fromOnnx(await readOnnxFiles(model), model)
  if (await isTorchFile(model)) return fromHuggingFace(await readTorchFiles(model), path.dirname(model))
  const folder = await folderOf(model, options)
  const files = await readFiles(folder)
  const onnx = hasWeights(files) ? undefined : await onnxFileIn(folder)
  if (onnx !== undefined) return fromOnnx(await readOnnxFiles(onnx), onnx)
  const other = hasWeights(files) ? undefined : await otherFormatIn(folder)
  if (other !== undefined)
    throw new InputError(
      `${folder} has no model.safetensors and no model.onnx; ${other} ${otherFormat(other)}`,
    )
  return fromHuggingFace(files, folder)
}

const hasWeights = (files: ReadableFiles) =>
  'model.safetensors' in files || 'model.safetensors.index.json' in files || 'torch' in files

async function folderOf(model: string, { warn = toStandardError }: LoadOptions): Promise<string> {
  if (Object.hasOwn(bundledModels, model)) return bundledModels[model]!
  const stats = await stat(model).catch(() => null)
  if (stats?.isDirectory()) return model
  if (stats?.isFile()) throw new InputError(`${model} ${otherFormat(model)}`)
  const hub = path.isAbsolute(model) || stats ? undefined : parseHubId(model)
  if (hub) return fetchCheckpoint(hub, warn)
  const names = Object.keys(bundledModels).join(', ')
  throw new InputError(
    `there is no checkpoint folder '${model}': check the path, or name a bundled model (${names}) ` +
      'or one on the hub (owner/name)',
  )
}

function toStandardError(message: string): void {
  process.stderr.write(`${message}\n`)
}
