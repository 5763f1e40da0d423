import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, type ImageSize } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { errorCode } from '../files/write-file.js'
import { numberedBy } from './class-names.js'
import { type RgbImage, resizeRgb } from './decode.js'
import { digestsOfFiles } from './file-digests.js'
import type { SplitFiles } from './layouts/found-split.js'
import { once } from './once.js'
import type { ColumnChoice } from './parquet-schema.js'
import type { Classes, StoredImages, StoredSplit, Watched } from './stored-images.js'

const side: ImageSize = { height: 32, width: 32 }
const values = 3 * 32 * 32

type CifarFiles = Extract<SplitFiles, { readonly folder: string }>

/** What a record has before its pixels, and where the names of the classes are. */
const versions = {
  'cifar-10': [{ label: 'label', names: 'batches.meta.txt' }],
  'cifar-100': [
    { label: 'coarse_label', names: 'coarse_label_names.txt' },
    { label: 'fine_label', names: 'fine_label_names.txt' },
  ],
} as const

/**
 * A split of the binary versions of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html): records of one
 * byte a label, then 32 × 32 values a channel.
 *
 * @throws InputError if a file is cut short, a label is no class, or it is not said which label of CIFAR-100 is meant
 */
export async function cifarSplit(
  where: Pick<StoredSplit, 'name' | 'split'>,
  { layout, folder, files }: CifarFiles,
  choice: ColumnChoice,
  watched: Watched,
): Promise<StoredSplit> {
  const columns = versions[layout]
  const column = chosen(
    where.name,
    columns.map(({ label }) => label),
    choice.label,
  )
  const record = columns.length + values
  const classNames = await namesIn(join(folder, columns[column]!.names))
  const counts: number[] = []
  const labels: number[] = []
  for (const file of files) {
    const found = await labelsIn(file, record, column)
    const wrong = found.findIndex(label => classNames !== undefined && label >= classNames.length)
    if (wrong >= 0)
      throw new InputError(
        `${file}, row ${wrong}: label ${found[wrong]} is not a class, expected 0 to ${classNames!.length - 1}: fetch the file again.`,
      )
    counts.push(found.length)
    labels.push(...found)
  }
  const all = Int32Array.from(labels)
  if (!classNames)
    once(watched.monitor, `${where.name}: ${columns[column]!.names} is not there: its classes are numbered.`)
  const images = recordsOf(files, counts, record, async watching =>
    digestOf(layout, await digestsOfFiles(files, `${where.split} files`, watching)),
  )
  const classes: Classes = classNames ? { kind: 'declared', names: classNames } : numberedBy(all)
  return {
    ...where,
    images,
    labels: all,
    classes,
  }
}

function chosen(name: string, labels: readonly string[], wanted: string | undefined): number {
  const index = wanted === undefined && labels.length === 1 ? 0 : labels.indexOf(wanted ?? '')
  if (index >= 0) return index
  throw new InputError(
    wanted === undefined
      ? `${name} has several labels (${labels.join(', ')}): choose one with --label-column (columns.label).`
      : `${name} has no label \`${wanted}\`: choose one of ${labels.join(', ')} with --label-column (columns.label).`,
  )
}

/** Undefined if there is no such file. Throws InputError if it cannot be read or is empty. */
async function namesIn(path: string): Promise<string[] | undefined> {
  const text = await readFile(path, 'utf8').catch(error => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw new InputError(`${path} cannot be read (${errorCode(error)}): check its permissions.`)
  })
  if (text === undefined) return undefined
  const names = text.split(/\r?\n/).filter(line => line.trim() !== '')
  if (names.length > 0) return names
  throw new InputError(
    `${path} names no classes: fetch it again, or delete it if the classes shall be numbered.`,
  )
}

async function labelsIn(file: string, record: number, column: number): Promise<Uint8Array> {
  const { size } = await stat(file)
  if (size === 0 || size % record !== 0 || size > 2 ** 30)
    throw new InputError(`${file} has ${size} bytes, which are no records of ${record}: fetch it again.`)
  const bytes = await readFile(file)
  return Uint8Array.from({ length: size / record }, (_, i) => bytes[i * record + column]!)
}

function recordsOf(
  files: readonly string[],
  counts: readonly number[],
  record: number,
  id: StoredImages['id'],
): StoredImages {
  const place = (index: number): { file: string; row: number } => {
    let row = index
    for (const [i, count] of counts.entries()) {
      if (row < count) return { file: files[i]!, row }
      row -= count
    }
    throw new RangeError(`there is no image ${index}`)
  }
  return {
    id,
    count: counts.reduce((sum, count) => sum + count, 0),
    where(index) {
      const { file, row } = place(index)
      return `${file}, row ${row}`
    },
    async prepare() {},
    async decode(index, size): Promise<RgbImage> {
      const { file, row } = place(index)
      const pixels = new Uint8Array(values)
      const handle = await open(file)
      try {
        const { bytesRead } = await handle.read(pixels, 0, values, (row + 1) * record - values)
        if (bytesRead !== values)
          throw new InputError(`${file}, row ${row}: the file was cut short: fetch it again.`)
      } finally {
        await handle.close()
      }
      if (!size) return { ...side, pixels, frames: 1 }
      return { ...size, pixels: await resizeRgb(pixels, side, size), frames: 1 }
    },
  }
}
