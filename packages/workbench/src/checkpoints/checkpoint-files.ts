import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { type ReadableFiles, shardNames } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { assertChecksums } from './checksums.js'

/** Weights that torch.save wrote, by the name that `transformers` gave them before safetensors. */
export const TORCH_FILE = 'pytorch_model.bin'

/** The bytes of a file; undefined if there is none. Throws InputError if it cannot be read. */
async function bytesOf(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    const problem =
      code === 'ERR_FS_FILE_TOO_LARGE' ? 'it is larger than 2 GiB: save it as safetensors in shards' : message
    throw new InputError(`${file} cannot be read: ${problem}`)
  }
}

/** The configurations in a folder. */
async function readConfigurations(folder: string): Promise<ReadableFiles> {
  const [config, preprocessor] = await Promise.all([
    bytesOf(path.join(folder, 'config.json')),
    bytesOf(path.join(folder, 'preprocessor_config.json')),
  ])
  return {
    ...(config && { 'config.json': config.toString('utf8') }),
    ...(preprocessor && { 'preprocessor_config.json': preprocessor.toString('utf8') }),
  }
}

/**
 * The files of a checkpoint in a folder, weights in safetensors before others.
 * @throws InputError if one cannot be read, or is damaged as far as checksums beside it tell.
 */
export async function readFiles(folder: string): Promise<ReadableFiles> {
  const files = await filesIn(folder)
  const { shards, torch, ...others } = files
  await assertChecksums(folder, { ...others, ...shards, ...(torch && { [torch.name]: torch.bytes }) })
  return files
}

async function filesIn(folder: string): Promise<ReadableFiles> {
  const read = (name: string) => bytesOf(path.join(folder, name))
  const described = await readConfigurations(folder)
  const weights = await read('model.safetensors')
  if (weights) return { ...described, 'model.safetensors': weights }
  const index = (await read('model.safetensors.index.json'))?.toString('utf8')
  if (index === undefined) {
    const bytes = await read(TORCH_FILE)
    return { ...described, ...(bytes && { torch: { name: TORCH_FILE, bytes } }) }
  }
  const shards: Record<string, Uint8Array> = {}
  for (const name of shardNames(index, folder)) {
    const shard = await read(name)
    if (shard) shards[name] = shard
  }
  return { ...described, 'model.safetensors.index.json': index, shards }
}

/** Whether a path is that of a file of torch.save. */
export async function isTorchFile(given: string): Promise<boolean> {
  return /\.(pt|pth|bin)$/i.test(given) && !(await stat(given).catch(() => null))?.isDirectory()
}

/** A file of torch.save and the configurations beside it. Throws InputError if it cannot be read. */
export async function readTorchFiles(file: string): Promise<ReadableFiles> {
  const bytes = await bytesOf(file)
  if (!bytes) throw new InputError(`there is no file '${file}': check the path`)
  return { ...(await readConfigurations(path.dirname(file))), torch: { name: path.basename(file), bytes } }
}
