import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { decodeTable, encodeTable } from './table.js'

const table = { place: Int32Array.of(0, 5, -7), loss: Float32Array.of(0.5, 1e-30, 3), role: ['a', 'b', 'ü'] }
const kinds = { place: 'int', loss: 'float', role: 'text' } as const

describe('a table', () => {
  it('is read as it was written, from any kind of bytes', async () => {
    const bytes = encodeTable(table, { note: 'x' })
    expect(await decodeTable(bytes, kinds, 'there')).toEqual(table)
    // As Node reads a small file: a piece of a larger buffer.
    const larger = new Uint8Array(bytes.length + 20)
    larger.set(bytes, 10)
    expect(await decodeTable(Buffer.from(larger.buffer, 10, bytes.length), kinds, 'there')).toEqual(table)
  })

  it('gives equal bytes for equal tables', () => {
    expect(encodeTable(table)).toEqual(encodeTable({ ...table }))
  })

  it('that is damaged or lacks a column is refused by name', async () => {
    const bytes = encodeTable(table)
    await expect(decodeTable(bytes.subarray(0, 40), kinds, 'a.parquet')).rejects.toThrow(InputError)
    await expect(decodeTable(bytes.subarray(0, 40), kinds, 'a.parquet')).rejects.toThrow(
      /^a.parquet is not a table/,
    )
    await expect(decodeTable(bytes, { gone: 'int' }, 'a.parquet')).rejects.toThrow(/^a.parquet .*gone/)
  })
})
