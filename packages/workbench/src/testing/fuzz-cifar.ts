import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { type Choices, damaged, fuzz } from 'onnxgrad/testing'
import { openSplit } from '../data/dataset.js'
import { listener } from '../data/test-data.js'
import { fuzzFolder } from './fuzz-folder.js'

/* Reads mutants of CIFAR's binary files and prints a FuzzReport: node --expose-gc fuzz-cifar.js MUTANTS */

const here = fuzzFolder()
const names = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']
const text = (...lines: string[]) => new TextEncoder().encode(`${lines.join('\n')}\n`)
const records = (count: number, labels: number) =>
  Uint8Array.from({ length: count * (labels + 3072) }, (_, i) =>
    i % (labels + 3072) < labels ? (i >> 4) % 10 : i & 255,
  )
const sound: Readonly<Record<string, Uint8Array>>[] = [
  { 'test_batch.bin': records(12, 1), 'batches.meta.txt': text(...names) },
  {
    'test.bin': records(12, 2),
    'fine_label_names.txt': text(...Array.from({ length: 100 }, (_, i) => `fine ${i}`)),
    'coarse_label_names.txt': text(...Array.from({ length: 20 }, (_, i) => `coarse ${i}`)),
  },
]

function mutant(choices: Choices): { files: Record<string, Uint8Array>; isNamed: boolean } {
  const { int, of } = choices
  const chosen = of(sound)
  const name = of(Object.keys(chosen))
  const bytes = chosen[name]!
  // Whole records more or less, and any other damage.
  const changed = int(3) === 0 ? bytes.slice(0, int(bytes.length + 1)) : damaged(bytes, choices)
  const isNamed = !name.endsWith('.txt') || new TextDecoder().decode(changed).trim() !== ''
  return { files: { ...chosen, [name]: changed }, isNamed }
}

const report = await fuzz({
  mutants: Number(process.argv[2]),
  naming: 'cifar',
  mutant,
  async attempt({ files }) {
    const folder = here('cifar')
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
    for (const [name, bytes] of Object.entries(files)) writeFileSync(here('cifar', name), bytes)
    const monitor = listener()
    const columns = 'test.bin' in files ? { label: 'fine_label' } : {}
    const { classNames, count, labels, read } = await openSplit({
      dataset: folder,
      split: 'test',
      columns,
      monitor,
    })
    if (monitor.said.some(line => line.includes('numbered'))) throw new Error('the names of classes are lost')
    if (labels.some(label => label >= classNames.length)) throw new Error('a label is no class')
    const wanted = Math.min(2, count)
    await read([...Array(wanted).keys()], new Uint8Array(wanted * 3072))
  },
})
console.log(JSON.stringify(report))
