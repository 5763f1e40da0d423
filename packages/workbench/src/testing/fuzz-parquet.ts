import { readFileSync, writeFileSync } from 'node:fs'
import { type Choices, damaged, fuzz } from 'onnxgrad/testing'
import { openImageParquet } from '../data/parquet.js'
import { classLabel, image, plainPng, writeColumns } from '../data/test-data.js'
import { fuzzFolder } from './fuzz-folder.js'

/* Reads mutants of data sets in Parquet and prints a FuzzReport: node --expose-gc fuzz-parquet.js MUTANTS */

const here = fuzzFolder()
const pictures = await Promise.all(Array.from({ length: 30 }, (_, i) => plainPng(i)))
const columns = {
  numbers: { name: 'label', type: 'number', data: pictures.map((_, i) => i % 3) },
  texts: { name: 'label', type: 'text', data: pictures.map((_, i) => ['cat', 'dog', 'ü'][i % 3]) },
  booleans: { name: 'label', type: 'boolean', data: pictures.map((_, i) => i % 2 === 0) },
} as const
const sound = Object.entries(columns).map(([kind, label]) => {
  const file = here(`${kind}.parquet`)
  const features = { image, label: classLabel('cat', 'dog', 'ü') }
  const data = [{ name: 'image', type: 'image', data: pictures } as const, label]
  writeColumns(file, data, kind === 'numbers' ? features : undefined)
  return Uint8Array.from(readFileSync(file))
})

/** Damage anywhere, or where sizes and counts are: in the metadata at the end. */
function mutant(choices: Choices): Uint8Array {
  const file = choices.of(sound)
  if (choices.int(2) === 0) return damaged(file, choices)
  const length = new DataView(file.buffer, file.byteOffset).getUint32(file.length - 8, true)
  const start = file.length - 8 - length
  return Uint8Array.from([...file.subarray(0, start), ...damaged(file.subarray(start), choices)])
}

const report = await fuzz({
  mutants: Number(process.argv[2]),
  naming: 'mutant.parquet',
  mutant,
  async attempt(bytes) {
    const file = here('mutant.parquet')
    writeFileSync(file, bytes)
    const opened = await openImageParquet(file)
    if (!opened) return
    const labels = await opened.labels()
    let images = 0
    for await (const batch of opened.images()) images += batch.images.length
    if (labels.length !== opened.rows || images !== opened.rows)
      throw new Error(`${opened.rows} rows, ${labels.length} labels and ${images} images`)
  },
})
console.log(JSON.stringify(report))
