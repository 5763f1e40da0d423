import { mkdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { type Checkpoint, type CheckpointFiles, fromHuggingFace, toHuggingFace } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { writeFileWhole } from './write-file.js'

/** Reads a checkpoint in the Hugging Face layout from a folder. Throws InputError if any of it is amiss. */
export async function loadCheckpoint(folder: string): Promise<Checkpoint> {
  const stats = await stat(folder).catch(() => null)
  if (!stats?.isDirectory()) throw new InputError(`there is no checkpoint folder '${folder}': check the path`)
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
