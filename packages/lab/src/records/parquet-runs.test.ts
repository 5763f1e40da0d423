import type { PageHeader, SchemaTree } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import { checkRuns } from './parquet-runs.js'

const required = [{ element: { repetition_type: 'REQUIRED' } }] as unknown as SchemaTree[]
const page = (values: number) =>
  ({
    data_page_header_v2: {
      num_values: values,
      encoding: 'RLE_DICTIONARY',
      repetition_levels_byte_length: 0,
      definition_levels_byte_length: 0,
    },
  }) as unknown as PageHeader

/** Of a dictionary's indices: the bits of each, then runs. */
const check = (bytes: number[], values = 20) =>
  checkRuns(page(values), required, 'INT32', new Uint8Array(0), Uint8Array.from(bytes))
/** A run of 2³⁰ equal values. */
const endless = [0x80, 0x80, 0x80, 0x80, 0x08]

describe('the runs of a page', () => {
  it('may be as long as the page, and no longer', () => {
    expect(() => check([4, 40, 1])).not.toThrow()
    expect(() => check([4, 60, 1])).toThrow('a run of 30 values in a page of 20')
    expect(() => check([4, ...endless, 1])).toThrow('values in a page of 20')
  })

  it('are found behind packed ones, also where these have no bits but take a byte', () => {
    // Eight packed values of four bits: four bytes.
    expect(() => check([4, 3, 0xff, 0xff, 0xff, 0xff, 24, 1])).not.toThrow()
    expect(() => check([4, 3, 0xff, 0xff, 0xff, 0xff, ...endless, 1])).toThrow('values in a page of 20')
    expect(() => check([0, 3, 0xff, 24])).not.toThrow()
    expect(() => check([0, 3, 0xff, ...endless])).toThrow('values in a page of 20')
    // No groups at all, and still a byte.
    expect(() => check([4, 1, 0xff, ...endless, 1])).toThrow('values in a page of 20')
  })
})
