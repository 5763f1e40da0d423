import { stat } from 'node:fs/promises'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ImageSource } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { type HubId, parseHubId } from '../hub/hub.js'
import { type Monitor, silent } from '../runs/monitor.js'
import { bundledDatasets } from './bundled/registry.js'
import { cifarSplit } from './cifar-files.js'
import { agreeOnClasses, withClasses } from './class-names.js'
import { fetchSplit } from './hub-split.js'
import { imageFileSplit } from './image-files.js'
import type { SplitFiles } from './layouts/found-split.js'
import { filesOfSplit } from './layouts/split-files.js'
import { listFiles } from './list-files.js'
import { once } from './once.js'
import type { ColumnChoice } from './parquet-schema.js'
import { parquetSplit } from './parquet-split.js'
import { sourceOf } from './split-source.js'
import type { StoredSplit, Watched } from './stored-images.js'

/** Which data to open, and how. */
export interface DatasetOptions {
  /**
   * The name of a bundled data set (`cifar10-subset`), a local folder (`filesOfSplit` has the layouts), or a data set on
   * the Hugging Face hub (`owner/name`, `owner/name:FOLDER`, either with `@revision`); the first of these that fits.
   */
  readonly dataset: string
  /** Height and width in pixels to resize to, 1 to 4096; if not given, images stay as they are and must agree. */
  readonly size?: number | undefined
  /** The columns that hold image and label, where that is not clear. */
  readonly columns?: ColumnChoice | undefined
  /**
   * Classes of a model, in the order of its outputs, that the labels shall be of (see `withClasses`). A split that names
   * only the classes that occur in it may lack some.
   */
  readonly classNames?: readonly string[] | undefined
  /** Told what was chosen, and how far long reading is. */
  readonly monitor?: Monitor | undefined
  readonly signal?: AbortSignal | undefined
}

export interface SplitOptions extends DatasetOptions {
  /** `train`, `test`, …; where there is no `test`, a validation split serves. */
  readonly split: string
}

export interface SplitsOptions<S extends readonly string[]> extends DatasetOptions {
  /** As `SplitOptions.split`, several. */
  readonly splits: S
}

/**
 * Opens one split: its labels are read, its images are not. They are decoded when they are first read, and kept in a
 * file of the cache folder. At most 256 MiB of them are held in memory.
 *
 * @returns images in the order of the files, uint8, 3 × height × width
 * @throws InputError if the data set or the split is missing, ambiguous, not labelled or damaged
 */
export async function openSplit({ split, ...options }: SplitOptions): Promise<ImageSource> {
  const [source] = await openSplits({ ...options, splits: [split] })
  return source!
}

/**
 * Opens several splits of a data set, as `openSplit`, whose classes then agree: equal names in an equal order, as many
 * as there are in any of the splits.
 *
 * @returns the splits in the order given
 * @throws InputError as `openSplit`, and if the splits have different classes
 */
export async function openSplits<const S extends readonly string[]>({
  dataset,
  splits,
  size,
  columns = {},
  classNames,
  monitor = silent,
  signal,
}: SplitsOptions<S>): Promise<{ -readonly [K in keyof S]: ImageSource }> {
  if (size !== undefined && !(Number.isInteger(size) && size >= 1 && size <= 4096)) {
    throw new InputError(`An image size of ${size} is not possible: give a whole number from 1 to 4096.`)
  }
  const watched = { monitor, signal }
  const found = await locate(dataset)
  const stored: StoredSplit[] = []
  for (const split of splits) stored.push(await openStored(found, split, columns, watched))
  const agreed = agreeOnClasses(stored, monitor)
  const sources: ImageSource[] = []
  for (const [i, split] of stored.entries()) {
    const source = await sourceOf(split, agreed[i]!, size, watched)
    const mayLack = stored.every(({ classes }) => classes.kind !== 'declared')
    sources.push(classNames ? withClasses(source, classNames, monitor, mayLack) : source)
  }
  return sources as { -readonly [K in keyof S]: ImageSource }
}

/**
 * How many images a split has and of how many classes, as the files on this machine say; undefined if it would have to
 * be fetched. Throws InputError as `openSplit`.
 */
export async function splitSize(
  dataset: string,
  split: string,
  columns: ColumnChoice = {},
): Promise<{ count: number; classes: number } | undefined> {
  const found = await locate(dataset)
  if ('hub' in found) return undefined
  const { labels, classes } = await openStored(found, split, columns, { monitor: silent })
  return { count: labels.length, classes: classes.kind === 'numbered' ? classes.count : classes.names.length }
}

/** A data set that there is, or may be on the hub. */
type Dataset =
  | { readonly name: string; readonly folder: string; readonly paths: readonly string[] }
  | { readonly name: string; readonly hub: HubId; readonly within: string }

async function locate(dataset: string): Promise<Dataset> {
  const bundled = bundledDatasets.find(({ name }) => name === dataset)
  if (bundled) {
    const folder = fileURLToPath(bundled.folder)
    return { name: dataset, folder, paths: await listFiles(folder) }
  }
  const stats = await stat(dataset).catch(() => undefined)
  if (stats?.isDirectory())
    return { name: basename(resolve(dataset)), folder: dataset, paths: await listFiles(dataset) }
  if (stats) {
    const advice = /\.(tar|tgz|zip|gz)$/.test(dataset)
      ? 'unpack it and give the folder'
      : 'give the folder that it is in'
    throw new InputError(`${dataset} is a file: ${advice}.`)
  }
  const [, repository = '', within = '', revision = ''] =
    /^([^:@]+)(?::([\w./-]+))?(@.*)?$/.exec(dataset) ?? []
  const hub = isAbsolute(dataset) ? undefined : parseHubId(repository + revision)
  if (hub) return { name: hub.name, hub, within }
  throw new InputError(
    `There is no data set '${dataset}': it is no folder (looked at ${resolve(dataset)}), no bundled ` +
      `data set (${bundledDatasets.map(({ name }) => name).join(', ')}) and no id of the hub (owner/name): ` +
      'give one of these.',
  )
}

async function openStored(
  dataset: Dataset,
  wanted: string,
  columns: ColumnChoice,
  watched: Watched,
): Promise<StoredSplit> {
  const { name } = dataset
  const found =
    'hub' in dataset
      ? await fetchSplit(dataset.hub, dataset.within, wanted, watched.monitor)
      : inFolder(dataset.folder, filesOfSplit(dataset.paths, wanted, dataset.folder))
  const { split } = found
  if (split !== wanted) once(watched.monitor, `${name}: the split '${split}' is taken for '${wanted}'.`)
  const where = { name, split }
  switch (found.layout) {
    case 'parquet':
      return parquetSplit(where, found.files, columns, watched)
    case 'images':
      return imageFileSplit(where, found.files)
    default:
      return cifarSplit(where, found, columns, watched)
  }
}

/** With the folder before every path. */
function inFolder(folder: string, found: SplitFiles): SplitFiles {
  switch (found.layout) {
    case 'parquet':
      return { ...found, files: found.files.map(path => join(folder, path)) }
    case 'images':
      return { ...found, files: found.files.map(file => ({ ...file, path: join(folder, file.path) })) }
    default:
      return {
        ...found,
        folder: join(folder, found.folder),
        files: found.files.map(path => join(folder, path)),
      }
  }
}
