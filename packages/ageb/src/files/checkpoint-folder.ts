import { mkdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import {
  type Checkpoint,
  type CheckpointFiles,
  fromHuggingFace,
  type ReadCheckpoint,
  toHuggingFace,
} from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { bundledModels } from './bundled-models.js'
import { writeFileWhole } from './write-file.js'

/**
 * Reads a checkpoint in the Hugging Face layout.
 * @param model a folder, or the name of a bundled model.
 * @throws InputError if any of it is amiss.
 */
export async function loadCheckpoint(model: string): Promise<ReadCheckpoint> {
  const folder = bundledModels[model] ?? model
  const stats = await stat(folder).catch(() => null)
  if (!stats?.isDirectory()) {
    const names = Object.keys(bundledModels).join(', ')
    throw new InputError(
      `there is no checkpoint folder '${folder}': check the path, or name a bundled model (${names})`,
    )
  }
  const read = (name: keyof CheckpointFiles) => readFile(path.join(folder, name)).catch(() => undefined)
  const [config, preprocessor, weights] = await Promise.all([
    read('config.json'),
    read('preprocessor_config.json'),
    read('model.safetensors'),
  ])
  const files: Partial<CheckpointFiles> = {
    ...(config && { 'config.json': config.toString('utf8') }),
    ...(preprocessor && { 'preprocessor_config.json': preprocessor.toString('utf8') }),
    ...(weights && { 'model.safetensors': weights }),
  }
  return fromHuggingFace(files, folder)
}

/** Writes a checkpoint in the Hugging Face layout into a folder, which is made if need be. */
export async function saveCheckpoint(folder: string, checkpoint: Checkpoint): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [name, data] of Object.entries(toHuggingFace(checkpoint))) {
    await writeFileWhole(path.join(folder, name), data)
  }
}
