import { type Choices, damaged, fuzz } from 'onnxgrad/testing'
import { decodeTable, encodeTable } from '../records/table.js'

/* Reads mutants of tables and prints a FuzzReport: node --expose-gc fuzz-tables.js MUTANTS */

const kinds = { index: 'int', role: 'text', loss: 'float' } as const
const sound = [0, 1, 40, 2000].map(rows =>
  encodeTable(
    {
      index: Int32Array.from({ length: rows }, (_, i) => (i * 7919) % 1000),
      role: Array.from({ length: rows }, (_, i) => (i % 3 === 0 ? 'attacked' : 'goal')),
      loss: Float32Array.from({ length: rows }, (_, i) => Math.sin(i)),
    },
    { classNames: JSON.stringify(['a', 'b']) },
  ),
)

/** Damage anywhere, or where sizes and counts are: in the metadata at the end. */
function mutant(choices: Choices): Uint8Array {
  const file = choices.of(sound)
  if (choices.int(2) === 0) return damaged(file, choices)
  const length = new DataView(file.buffer, file.byteOffset).getUint32(file.length - 8, true)
  const start = Math.max(0, file.length - 8 - length)
  return Uint8Array.from([...file.subarray(0, start), ...damaged(file.subarray(start), choices)])
}

const report = await fuzz({
  mutants: Number(process.argv[2]),
  naming: 'there.parquet',
  mutant,
  async attempt(bytes) {
    const { index, role, loss } = await decodeTable(bytes, kinds, 'there.parquet')
    if (index.length !== role.length || index.length !== loss.length)
      throw new Error('columns of other lengths')
  },
})
console.log(JSON.stringify(report))
