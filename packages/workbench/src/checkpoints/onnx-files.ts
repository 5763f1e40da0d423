import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import type { OnnxFiles } from '@ageb/lab'
import { type ExternalData, InputError } from 'onnxgrad'
import { assertChecksums } from './checksums.js'

/** Where Optimum and transformers.js, and PyTorch's examples, put the model in its folder. */
const places = ['model.onnx', 'onnx/model.onnx']

export async function isOnnxFile(given: string): Promise<boolean> {
  return given.toLowerCase().endsWith('.onnx') && !(await stat(given).catch(() => null))?.isDirectory()
}

/** The ONNX file in a folder; undefined if there is none. */
export async function onnxFileIn(folder: string): Promise<string | undefined> {
  for (const place of places) {
    const file = path.join(folder, place)
    if ((await stat(file).catch(() => null))?.isFile()) return file
  }
  return undefined
}

/**
 * An ONNX file and what lies beside it, or beside its folder if that is called `onnx`.
 * @throws InputError if it cannot be read, or is damaged as far as checksums beside it tell.
 */
export async function readOnnxFiles(file: string): Promise<OnnxFiles> {
  const folder = path.dirname(file)
  const described = path.basename(folder) === 'onnx' ? [folder, path.dirname(folder)] : [folder]
  const text = async (name: string) => {
    for (const place of described) {
      const content = await readFile(path.join(place, name), 'utf8').catch(() => undefined)
      if (content !== undefined) return content
    }
    return undefined
  }
  const onnx = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    const why =
      error.code === 'ERR_FS_FILE_TOO_LARGE'
        ? 'it is larger than 2 GiB: export it with its weights in external data files'
        : error.message
    throw new InputError(`${file} cannot be read: ${why}`)
  })
  const config = await text('config.json')
  const preprocessor = await text('preprocessor_config.json')
  const top = described.at(-1)!
  await assertChecksums(top, {
    'config.json': config,
    'preprocessor_config.json': preprocessor,
    [path.relative(top, file).replaceAll('\\', '/')]: onnx,
  })
  return {
    onnx,
    externalData: externalDataIn(folder),
    ...(config !== undefined && { 'config.json': config }),
    ...(preprocessor !== undefined && { 'preprocessor_config.json': preprocessor }),
  }
}

/** Reads from files in a folder; of no file more than it holds in all, so that no claim takes memory without end. */
function externalDataIn(folder: string): ExternalData {
  const left = new Map<string, number>()
  return (location, offset, length) => {
    const file = path.join(folder, location)
    let descriptor: number
    try {
      descriptor = openSync(file, 'r')
    } catch (error) {
      throw new InputError(
        `its weights file ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`,
      )
    }
    try {
      const stats = fstatSync(descriptor)
      const available = left.get(file) ?? stats.size
      if (!stats.isFile() || offset + length > stats.size || length > available) {
        throw new InputError(
          `its weights file ${file} has ${stats.size} bytes, and ${length} from ${offset} are claimed: export the model again`,
        )
      }
      left.set(file, available - length)
      const bytes = new Uint8Array(length)
      for (let done = 0; done < length; ) {
        const read = readSync(descriptor, bytes, done, length - done, offset + done)
        if (read === 0) throw new InputError(`its weights file ${file} became shorter while it was read`)
        done += read
      }
      return bytes
    } finally {
      closeSync(descriptor)
    }
  }
}
