import {
  type Checkpoint,
  configurationFiles,
  notInTransformers,
  toHuggingFace,
  toOnnxClassifier,
} from '@ageb/lab'
import { type Monitor, silent } from '../runs/monitor.js'
import { saveFiles } from './checkpoint-folder.js'
import { CHECKSUMS } from './checksums.js'
import { openCheckpoint } from './open-checkpoint.js'

export interface ExportModelOptions {
  /**
   * `hf`: the folder that transformers reads; `onnx`: the folder that transformers.js reads, with `onnx/model.onnx`.
   * Default: `hf`.
   */
  readonly format?: 'hf' | 'onnx' | undefined
  /** For `hf`: the type in which weights are stored. Default: `float32`. */
  readonly dtype?: 'float32' | 'float16' | undefined
  /** For `onnx`: images in each run. Default: any number. */
  readonly batch?: number | undefined
  readonly monitor?: Monitor | undefined
}

/** What was written. */
export interface ExportedModel {
  /** As it was given. */
  readonly model: string
  readonly format: 'hf' | 'onnx'
  readonly folder: string
  /** Within the folder. */
  readonly files: readonly string[]
}

/**
 * Writes a checkpoint in another format into a folder, which is made if need be.
 *
 * @example
 * const { files } = await exportModel('vit-cifar10', 'for-transformers-js', { format: 'onnx' })
 * @param model a folder, an ONNX file, a bundled name, or `owner/name` on the hub
 * @throws InputError if any of it is amiss, or it has no classifier
 */
export async function exportModel(
  model: string,
  folder: string,
  { format = 'hf', dtype = 'float32', batch, monitor = silent }: ExportModelOptions = {},
): Promise<ExportedModel> {
  const checkpoint = await openCheckpoint(model, monitor)
  const missing = notInTransformers(checkpoint.model)
  if (missing && format === 'hf') {
    monitor.say(
      `transformers has no class for ${missing}: only ageb can read this folder; for other programs, use --format onnx`,
    )
  }
  const contents =
    format === 'hf' ? toHuggingFace(checkpoint, { dtype }) : transformersJsFiles(checkpoint, batch)
  await saveFiles(folder, { ...contents })
  return { model, format, folder, files: [...Object.keys(contents), CHECKSUMS] }
}

function transformersJsFiles(checkpoint: Checkpoint, batch: number | undefined) {
  return { ...configurationFiles(checkpoint), 'onnx/model.onnx': toOnnxClassifier(checkpoint, batch) }
}
