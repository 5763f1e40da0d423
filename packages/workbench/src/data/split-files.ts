import { InputError } from 'onnxgrad'

/** `train.parquet`, `train-00000-of-00002.parquet`, and the older `train-00000-of-00002-1a2b3c.parquet`. */
const splitFile = /^(?<split>[A-Za-z0-9_]+)(?:-(?<shard>\d+)-of-(?<shards>\d+)(?:-[0-9a-f]+)?)?\.parquet$/

interface Shard {
  readonly path: string
  readonly folder: string
  readonly split: string
  readonly shard: number
  readonly shards: number
}

/** The splits that files named `SPLIT-00000-of-00001.parquet` make up, each once, in alphabetical order. */
export function splitNames(paths: readonly string[]): string[] {
  return [...new Set(parse(paths).map(({ split }) => split))].toSorted()
}

/**
 * The files of one split, in the order of their shards.
 *
 * @param paths candidate files with `/` between folders; those not named like a split's are passed over
 * @param split `train`, `test`, …
 * @param where what the files are part of, for messages
 * @throws InputError if there is no such split, a shard is missing, or several folders have the split
 */
export function filesOfSplit(paths: readonly string[], split: string, where: string): string[] {
  const found = parse(paths)
  const shards = found.filter(entry => entry.split === split)
  if (found.length === 0) {
    throw new InputError(
      `${where} has no Parquet files named like \`train-00000-of-00001.parquet\`, directly or in a folder: ` +
        'give a data set in the layout of the Hugging Face hub.',
    )
  }
  if (shards.length === 0) {
    throw new InputError(`${where} has no split '${split}': choose one of ${splitNames(paths).join(', ')}.`)
  }
  const folders = [...new Set(shards.map(({ folder }) => folder || '.'))].toSorted()
  if (folders.length > 1) {
    throw new InputError(
      `${where} has the split '${split}' in several folders (${folders.join(', ')}): ` +
        'give a local copy of one of them.',
    )
  }
  const ordered = shards.toSorted((a, b) => a.shard - b.shard)
  const count = ordered[0]!.shards
  if (ordered.length !== count || ordered.some((entry, i) => entry.shard !== i || entry.shards !== count)) {
    throw new InputError(
      `${where} has an incomplete split '${split}' (${ordered.length} files, ${count} expected): ` +
        'fetch it again.',
    )
  }
  return ordered.map(({ path }) => path)
}

function parse(paths: readonly string[]): Shard[] {
  return paths.flatMap(path => {
    const slash = path.lastIndexOf('/')
    const groups = splitFile.exec(path.slice(slash + 1))?.groups
    if (!groups) return []
    const { split = '', shard = '0', shards = '1' } = groups
    return [
      {
        path,
        folder: path.slice(0, Math.max(0, slash)),
        split,
        shard: Number(shard),
        shards: Number(shards),
      },
    ]
  })
}
