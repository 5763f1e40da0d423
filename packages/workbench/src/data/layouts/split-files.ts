import { InputError } from 'onnxgrad'
import { cifarSplits } from './cifar-layout.js'
import type { FoundSplit, SplitFiles } from './found-split.js'
import { classFolders, imageSplits } from './image-layout.js'
import { parquetSplits } from './parquet-layout.js'
import { findSplitName } from './split-names.js'

/**
 * Finds the files of one split among the files of a data set, in one of these layouts, in the data set's folder or
 * below:
 *
 * - `train-00000-of-00001.parquet`, `train.parquet`: the hub's;
 * - `train/0000.parquet`: the hub's own conversion;
 * - `train/CLASS/….jpg`: folders of images;
 * - `data_batch_1.bin`, …, `test_batch.bin`, and `train.bin`, `test.bin` beside the names of classes: CIFAR's.
 *
 * @param paths all files, with `/` between folders
 * @param wanted `train`, `test`, …; where there is no `test`, a validation split serves
 * @param where what the files are part of, for messages
 * @throws InputError if there is no such split, it is incomplete, or there are several
 */
export function filesOfSplit(paths: readonly string[], wanted: string, where: string): SplitFiles {
  const found = [
    ...parquetSplits(paths, where),
    ...cifarSplits(paths, where),
    ...imageSplits(paths, wanted, where),
  ]
  const split = findSplitName(
    wanted,
    found.map(one => one.split),
  )
  if (split === undefined) throw notThere(paths, wanted, found, where)
  const fitting = found.filter(one => one.split === split)
  if (fitting.length === 1) return fitting[0]!.files()
  const layouts = [...new Set(fitting.map(one => one.layout))].toSorted()
  if (layouts.length > 1)
    throw new InputError(
      `${where} has the split '${split}' in several layouts (${layouts.join(', ')}): keep one of them.`,
    )
  const folders = fitting.map(one => one.folder || '.').toSorted()
  throw new InputError(
    `${where} has the split '${split}' in several folders (${folders.join(', ')}): give the path of one of them, ` +
      'or on the hub owner/name:FOLDER.',
  )
}

function notThere(
  paths: readonly string[],
  wanted: string,
  found: readonly FoundSplit[],
  where: string,
): InputError {
  if (found.length > 0) {
    const names = [...new Set(found.map(({ split }) => split))].toSorted()
    return new InputError(`${where} has no split '${wanted}': choose one of ${names.join(', ')}.`)
  }
  const [first, ...more] = classFolders(paths)
  if (first !== undefined)
    return new InputError(
      `${where} has images in folders that belong to no split (${first}${more.length > 0 ? ', …' : ''}): ` +
        'lay those to train with out as train/CLASS/FILE and those to test with as test/CLASS/FILE.',
    )
  if (paths.some(path => /(^|\/)(data_batch_1|cifar-100-python\/train)$/.test(path)))
    return new InputError(
      `${where} has CIFAR as Python pickles, which can hold programs and are not read: fetch the binary version.`,
    )
  return new InputError(
    `${where} has no Parquet files named like \`train-00000-of-00001.parquet\` or \`train/0000.parquet\`, no folders of ` +
      'images like `train/CLASS/1.jpg` and no binary files of CIFAR: give a data set in one of these layouts.',
  )
}
