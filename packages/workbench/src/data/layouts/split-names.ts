/** What a split is also called, in the order in which it is looked for. */
const others: Record<string, readonly string[]> = {
  train: ['training'],
  test: ['testing', 'validation', 'valid', 'val', 'dev', 'eval'],
  validation: ['valid', 'val', 'dev'],
}

/** The names that a split may have, the wanted one first. */
export function namesOfSplit(split: string): readonly string[] {
  return [split, ...(others[split] ?? [])]
}

const known = new Set(Object.entries(others).flat(2))

/** Whether a folder of that name is taken for a split and not for a class, a configuration or something else. */
export function isSplitName(name: string): boolean {
  return known.has(name.toLowerCase())
}

/**
 * Which of the splits that there are is meant: the wanted one, else one of another name for it; upper and lower case
 * do not matter.
 */
export function findSplitName(wanted: string, available: Iterable<string>): string | undefined {
  const names = [...available]
  for (const name of namesOfSplit(wanted)) {
    const found =
      names.find(one => one === name) ?? names.find(one => one.toLowerCase() === name.toLowerCase())
    if (found !== undefined) return found
  }
  return undefined
}
