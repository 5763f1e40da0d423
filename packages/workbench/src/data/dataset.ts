import { readdir, stat } from 'node:fs/promises'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ImageSet, imagesInMemory } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { parseHubId } from '../hub/hub.js'
import { bundledDatasets } from './bundled/registry.js'
import { cacheFolder, cacheKey, type DecodedSplit, readCache, writeCache } from './cache.js'
import { decodeBatch, decodeRow, type PixelSize } from './decode.js'
import { fetchSplit } from './hub-split.js'
import { type ImageParquet, openImageParquet } from './parquet.js'
import { filesOfSplit } from './split-files.js'

/** Which split to load, and how. */
export interface LoadSplitOptions {
  /**
   * The name of a bundled data set (`cifar10-subset`), a local folder of Parquet files, or a data set on the
   * Hugging Face hub (`owner/name`, `owner/name@revision`); the first of these that fits.
   */
  readonly dataset: string
  /** `train`, `test`, … */
  readonly split: string
  /** Height and width in pixels to resize to; if not given, images stay as they are and must agree. */
  readonly size?: number | undefined
  /** Called as images are decoded. */
  readonly progress?: ((done: number, total: number) => void) | undefined
  /** Told what is worth knowing but stops nothing; standard error if not given. */
  readonly warn?: ((message: string) => void) | undefined
}

/** Decoded splits are held in memory whole; larger ones than this are refused. */
export const maxDecodedBytes = 2 ** 32

/** Progress is told once in so many images. */
const progressStep = 50

/** Cache folders that could not be written: said once, not for every split. */
const unwritable = new Set<string>()

/**
 * Loads one split, decoded: from the cache if the same files were loaded before at the same size.
 *
 * @returns uint8 images, 3 × height × width, in the order of the files
 * @throws InputError if the data set or the split is missing or any of it is damaged
 */
export async function loadSplit(options: LoadSplitOptions): Promise<ImageSet> {
  const { split, size, progress, warn = toStandardError } = options
  if (size !== undefined && !(Number.isInteger(size) && size >= 1 && size <= 4096)) {
    throw new InputError(`An image size of ${size} is not possible: give a whole number from 1 to 4096.`)
  }
  const { name, files } = await findSplit(options.dataset, split, warn)
  const shards = await Promise.all(files.map(openImageParquet))
  const key = await cacheKey(files, size)
  let decoded = await readCache(key)
  if (decoded) {
    progress?.(decoded.count, decoded.count)
  } else {
    decoded = await decodeSplit(shards, size, progress)
    await writeCache(key, decoded).catch((error: NodeJS.ErrnoException) => {
      const folder = cacheFolder()
      if (unwritable.has(folder)) return
      unwritable.add(folder)
      warn(
        `Going on without a cache, as ${folder} cannot be written (${error.code}): ` +
          'set AGEB_CACHE to a folder that can.',
      )
    })
  }
  return imagesInMemory({ name, split, ...decoded })
}

/**
 * How many images a split has and of how many classes, as the files on this machine say; undefined if it would have to
 * be fetched. Throws InputError as `loadSplit`.
 */
export async function splitSize(
  dataset: string,
  split: string,
): Promise<{ count: number; classes: number } | undefined> {
  const bundled = bundledDatasets.some(({ name }) => name === dataset)
  const local = bundled || (await stat(dataset).catch(() => undefined))
  if (!local && !isAbsolute(dataset) && parseHubId(dataset)) return undefined
  const { files } = await findSplit(dataset, split, () => {})
  const shards = await Promise.all(files.map(openImageParquet))
  const names = agreedClassNames(shards)
  return names && { count: shards.reduce((sum, { rows }) => sum + rows, 0), classes: names.length }
}

interface FoundSplit {
  /** As a person would name the data set. */
  readonly name: string
  readonly files: readonly string[]
}

async function findSplit(
  dataset: string,
  split: string,
  warn: (message: string) => void,
): Promise<FoundSplit> {
  const bundled = bundledDatasets.find(({ name }) => name === dataset)
  if (bundled) return { name: dataset, files: await findInFolder(fileURLToPath(bundled.folder), split) }

  const stats = await stat(dataset).catch(() => undefined)
  if (stats?.isDirectory())
    return { name: basename(resolve(dataset)), files: await findInFolder(dataset, split) }
  if (stats) throw new InputError(`${dataset} is a file: give the folder that it is in.`)

  const hub = isAbsolute(dataset) ? undefined : parseHubId(dataset)
  if (hub) return { name: hub.name, files: await fetchSplit(hub, split, warn) }
  throw new InputError(
    `There is no data set '${dataset}': it is no folder (looked at ${resolve(dataset)}), no bundled ` +
      `data set (${bundledDatasets.map(({ name }) => name).join(', ')}) and no id of the hub (owner/name): ` +
      'give one of these.',
  )
}

async function findInFolder(folder: string, split: string): Promise<string[]> {
  const list = (path: string) =>
    readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      throw new InputError(`${path} cannot be read (${error.code}): check the path and its permissions.`)
    })
  const paths: string[] = []
  for (const entry of await list(folder)) {
    if (!entry.isDirectory()) paths.push(entry.name)
    else for (const inner of await list(join(folder, entry.name))) paths.push(`${entry.name}/${inner.name}`)
  }
  return filesOfSplit(paths, split, folder).map(path => join(folder, path))
}

async function decodeSplit(
  shards: readonly ImageParquet[],
  size: number | undefined,
  progress: LoadSplitOptions['progress'],
): Promise<DecodedSplit> {
  const names = agreedClassNames(shards)
  const count = shards.reduce((sum, { rows }) => sum + rows, 0)
  const labels = new Int32Array(checkedBytes(4 * count, shards[0]!.path) / 4)
  let pixels: Uint8Array | undefined
  let target: PixelSize | undefined = size === undefined ? undefined : { height: size, width: size }
  let at = 0
  let done = 0
  const decoded = () => {
    done++
    if (done % progressStep === 0 || done === count) progress?.(done, count)
  }
  for (const shard of shards) {
    for await (const batch of shard.batches()) {
      target ??= await decodeRow(batch.images[0]!, `${shard.path}, row ${batch.firstRow}`)
      const length = 3 * target.height * target.width
      pixels ??= new Uint8Array(checkedBytes(count * length, shard.path))
      const part = pixels.subarray(at * length, (at + batch.images.length) * length)
      await decodeBatch(batch, shard.path, { size: target, resize: size !== undefined }, part, decoded)
      labels.set(batch.labels, at)
      at += batch.images.length
    }
  }
  // `openImageParquet` refuses a file without rows, so there was a first image.
  const { height, width } = target!
  return { count, height, width, pixels: pixels!, labels, classNames: names ?? numbered(labels) }
}

function checkedBytes(bytes: number, path: string): number {
  if (bytes <= maxDecodedBytes) return bytes
  throw new InputError(
    `The split of ${path} takes ${(bytes / 2 ** 30).toFixed(1)} GiB decoded, and 4 GiB are allowed: ` +
      'give a smaller size.',
  )
}

function agreedClassNames(shards: readonly ImageParquet[]): readonly string[] | undefined {
  const [first, ...rest] = shards
  for (const { path, classNames } of rest) {
    if (JSON.stringify(classNames) !== JSON.stringify(first!.classNames)) {
      throw new InputError(
        `${path} names other classes than ${first!.path}: keep different data sets in different folders.`,
      )
    }
  }
  return first!.classNames
}

/** Names for the classes of a file that has none: their numbers. */
function numbered(labels: Int32Array): string[] {
  return Array.from({ length: labels.reduce((a, b) => Math.max(a, b), 0) + 1 }, (_, label) => String(label))
}

function toStandardError(message: string): void {
  process.stderr.write(`${message}\n`)
}
