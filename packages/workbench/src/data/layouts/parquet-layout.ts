import { InputError } from 'onnxgrad'
import type { FoundSplit } from './found-split.js'
import { isSplitName } from './split-names.js'

/** `train.parquet`, `train-00000-of-00002.parquet`, and the older `train-00000-of-00002-1a2b3c.parquet`. */
const shardFile = /^(?<stem>.+?)(?:-(?<shard>\d+)-of-(?<shards>\d+)(?:-[0-9a-f]+)?)?\.parquet$/

/** `part-2` before `part-10`. */
const byNumbers = new Intl.Collator('en', { numeric: true })

interface Shard {
  readonly path: string
  /** From 0; undefined where the name has none. */
  readonly shard: number | undefined
  /** Undefined where the name does not say. */
  readonly shards: number | undefined
}

/**
 * Splits of Parquet files: named `SPLIT.parquet` or `SPLIT-00000-of-00001.parquet`, or in a folder `SPLIT` and named
 * `0000.parquet` or otherwise.
 */
export function parquetSplits(paths: readonly string[], where: string): FoundSplit[] {
  const groups = new Map<string, { split: string; folder: string; shards: Shard[] }>()
  for (const path of paths) {
    const folders = path.split('/')
    const { stem = '', shard, shards } = shardFile.exec(folders.pop()!)?.groups ?? {}
    if (stem === '') continue
    const parent = folders.at(-1)
    const isNumber = /^\d+$/.test(stem)
    const isInFolder = parent !== undefined && (isNumber || (isSplitName(parent) && !isSplitName(stem)))
    if (!isInFolder && (isNumber || !/^\w+$/.test(stem))) continue
    const split = isInFolder ? parent : stem
    const folder = (isInFolder ? folders.slice(0, -1) : folders).join('/')
    const group = groups.get(`${folder}\0${split}`) ?? { split, folder, shards: [] }
    groups.set(`${folder}\0${split}`, group)
    group.shards.push({
      path,
      shard: shard !== undefined ? Number(shard) : isNumber ? Number(stem) : undefined,
      shards: shards !== undefined ? Number(shards) : isInFolder ? undefined : 1,
    })
  }
  return [...groups.values()].map(({ split, folder, shards }) => ({
    split,
    folder,
    layout: 'parquet',
    files: () => ({ layout: 'parquet', split, files: inOrder(shards, split, where) }),
  }))
}

function inOrder(shards: readonly Shard[], split: string, where: string): string[] {
  const ordered = shards.toSorted(
    (a, b) => (a.shard ?? 0) - (b.shard ?? 0) || byNumbers.compare(a.path, b.path),
  )
  const [first, last] = [ordered[0]!, ordered.at(-1)!]
  const isNumbered = ordered.every(({ shard }) => shard !== undefined)
  // Files whose names have no numbers may be any number.
  const count = first.shards ?? (isNumbered ? last.shard! + 1 : ordered.length)
  const isWhole =
    ordered.length === count &&
    ordered.every(({ shard, shards: all }, i) => (shard ?? i) === i && (all ?? count) === count)
  if (isWhole) return ordered.map(({ path }) => path)
  throw new InputError(
    `${where} has an incomplete split '${split}' (${ordered.length} files, ${count} expected): fetch it again.`,
  )
}
