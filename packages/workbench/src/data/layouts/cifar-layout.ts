import { InputError } from 'onnxgrad'
import type { FoundSplit } from './found-split.js'

const batches = [1, 2, 3, 4, 5].map(i => `data_batch_${i}.bin`)
const namesOf100 = ['fine_label_names.txt', 'coarse_label_names.txt']

/** The splits of the binary versions of CIFAR-10 and CIFAR-100, in whatever folder. */
export function cifarSplits(paths: readonly string[], where: string): FoundSplit[] {
  const folders = new Map<string, Set<string>>()
  for (const path of paths) {
    const slash = path.lastIndexOf('/')
    const folder = path.slice(0, Math.max(0, slash))
    folders.set(folder, (folders.get(folder) ?? new Set()).add(path.slice(slash + 1)))
  }
  return [...folders].flatMap(([folder, names]) => {
    const found = (
      layout: 'cifar-10' | 'cifar-100',
      split: string,
      wanted: readonly string[],
    ): FoundSplit[] => {
      if (!wanted.some(name => names.has(name))) return []
      const files = () => {
        const lacking = wanted.find(name => !names.has(name))
        if (lacking !== undefined)
          throw new InputError(
            `${where} has no ${lacking}, so the split '${split}' is incomplete: fetch it again.`,
          )
        return {
          layout,
          split,
          folder,
          files: wanted.map(name => (folder === '' ? name : `${folder}/${name}`)),
        }
      }
      return [{ split, folder, layout, files }]
    }
    return [
      ...found('cifar-10', 'train', batches),
      ...found('cifar-10', 'test', ['test_batch.bin']),
      ...(namesOf100.some(name => names.has(name))
        ? [...found('cifar-100', 'train', ['train.bin']), ...found('cifar-100', 'test', ['test.bin'])]
        : []),
    ]
  })
}
