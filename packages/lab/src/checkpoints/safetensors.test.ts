import { InputError } from 'onnxgrad'
import { describe, expect, it } from 'vitest'
import { assertFinite, parseSafetensors } from './safetensors.js'
import { type WritableTensor, writeSafetensors } from './write-safetensors.js'

const WHERE = 'model.safetensors'

/** A file with any header, right or wrong. */
function file(header: unknown, data: ArrayLike<number> = []): Uint8Array {
  return raw(new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header)), data)
}

function raw(header: Uint8Array, data: ArrayLike<number> = [], length = BigInt(header.length)): Uint8Array {
  const bytes = new Uint8Array(8 + header.length + data.length)
  new DataView(bytes.buffer).setBigUint64(0, length, true)
  bytes.set(header, 8)
  bytes.set(data, 8 + header.length)
  return bytes
}

const u8 = (shape: unknown, start: unknown, end: unknown) => ({
  dtype: 'U8',
  shape,
  data_offsets: [start, end],
})

const TENSORS: [string, WritableTensor][] = [
  ['head.bias', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 255) }],
  ['10', { dtype: 'F32', shape: [2, 1], data: Float32Array.of(1.5, -0) }],
  ['9', { dtype: 'I64', shape: [], data: BigInt64Array.of(-(2n ** 62n)) }],
  ['__proto__', { dtype: 'I32', shape: [1], data: Int32Array.of(-7) }],
  ['constructor', { dtype: 'F64', shape: [1], data: Float64Array.of(Math.PI) }],
  ['mask', { dtype: 'BOOL', shape: [2], data: Uint8Array.of(0, 1) }],
  ['empty', { dtype: 'F32', shape: [0, 4], data: new Float32Array(0) }],
]
const METADATA = { z: 'last', attack: 'blended — α', ['__proto__']: 'a key' }

describe('round trip', () => {
  const bytes = writeSafetensors(TENSORS, METADATA)

  it('gives tensors and metadata back', () => {
    const { tensors, metadata } = parseSafetensors(bytes, WHERE)
    expect(tensors.size).toBe(TENSORS.length)
    for (const [name, tensor] of TENSORS) expect(tensors.get(name)).toEqual(tensor)
    expect(Object.entries(metadata).sort()).toEqual(Object.entries(METADATA).sort())
  })

  it('writes the same bytes in any order, aligned, with sorted keys', () => {
    const notes = Object.fromEntries(Object.entries(METADATA).reverse())
    expect(writeSafetensors(TENSORS.toReversed(), notes)).toEqual(bytes)
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
    expect(length % 8).toBe(0)
    const header = new TextDecoder().decode(bytes.subarray(8, 8 + length))
    const keys = ['__metadata__', '10', '9', '__proto__', 'constructor', 'empty', 'head.bias', 'mask']
    const places = keys.map(key => header.lastIndexOf(`"${key}":{`))
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    for (const { data } of parseSafetensors(bytes, WHERE).tensors.values())
      expect(data.buffer).toBe(bytes.buffer)
  })

  it('copies what is not aligned', () => {
    const shifted = new Uint8Array(bytes.length + 1)
    shifted.set(bytes, 1)
    const { tensors } = parseSafetensors(shifted.subarray(1), WHERE)
    for (const [name, tensor] of TENSORS) expect(tensors.get(name)).toEqual(tensor)
    expect(tensors.get('10')!.data.buffer).not.toBe(shifted.buffer)
  })

  it('takes no tensors', () => {
    expect(parseSafetensors(writeSafetensors([]), WHERE)).toEqual({ tensors: new Map(), metadata: {} })
  })

  it('refuses to write nonsense', () => {
    const one: WritableTensor = { dtype: 'U8', shape: [1], data: Uint8Array.of(1) }
    expect(() => writeSafetensors([['a', { ...one, shape: [2] }]])).toThrow(RangeError)
    expect(() =>
      writeSafetensors([
        ['a', one],
        ['a', one],
      ]),
    ).toThrow(/repeated/)
    expect(() => writeSafetensors([['__metadata__', one]])).toThrow(/reserved/)
  })
})

describe('half floats', () => {
  const read = (dtype: string, halves: number[]) => {
    const data = new Uint8Array(Uint16Array.from(halves).buffer)
    const header = { t: { dtype, shape: [halves.length], data_offsets: [0, data.length] } }
    return [...(parseSafetensors(file(header, data), WHERE).tensors.get('t')!.data as Float32Array)]
  }

  it('widens F16, subnormals and all', () => {
    expect(read('F16', [0x3c00, 0xc000, 0x3555, 0x7bff, 0x0400, 0x0001, 0x83ff, 0x0000, 0x8000])).toEqual([
      1,
      -2,
      0.333251953125,
      65504,
      2 ** -14,
      2 ** -24,
      -1023 * 2 ** -24,
      0,
      -0,
    ])
    expect(read('F16', [0x7c00, 0xfc00, 0x7e00])).toEqual([
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
    ])
  })

  it('narrows to F16 to the nearest, ties to even', () => {
    const values = [
      1,
      -2,
      0.1,
      2049,
      2051,
      65504,
      65519.99,
      65520,
      2 ** -14,
      2 ** -24,
      2 ** -25,
      1.1 * 2 ** -25,
    ]
    const half = [
      1,
      -2,
      0.0999755859375,
      2048,
      2052,
      65504,
      65504,
      Number.POSITIVE_INFINITY,
      2 ** -14,
      2 ** -24,
    ]
    const data = Float32Array.of(...values, 3 * 2 ** -25, -1e-9, Number.NaN)
    const bytes = writeSafetensors([['t', { dtype: 'F16', shape: [data.length], data }]])
    const expected = [...half, 0, 2 ** -24, 2 ** -23, -0, Number.NaN]
    expect([...parseSafetensors(bytes, WHERE).tensors.get('t')!.data]).toEqual(expected)
  })

  it('widens and narrows every F16 to itself', () => {
    const halves = Array.from({ length: 0x10000 }, (_, i) => i).filter(i => (i & 0x7c00) !== 0x7c00)
    const data = Float32Array.from(read('F16', halves))
    const bytes = writeSafetensors([['t', { dtype: 'F16', shape: [data.length], data }]])
    const written = new Uint16Array(bytes.buffer, bytes.length - 2 * data.length)
    expect(halves.filter((half, i) => written[i] !== half)).toEqual([])
  })

  it('widens BF16', () => {
    expect(read('BF16', [0x3f80, 0xc049, 0x0001])).toEqual([1, -3.140625, 2 ** -133])
  })
})

describe('faults', () => {
  const faults: Record<string, [Uint8Array, RegExp]> = {
    'nothing at all': [new Uint8Array(0), /has 0 bytes/],
    'a header longer than the file': [raw(new Uint8Array(2), [], 3n), /should take 3 bytes, and 2 follow/],
    'an absurd header length': [raw(new Uint8Array(2), [], 2n ** 60n), /1152921504606846976/],
    'the largest header length': [raw(new Uint8Array(2), [], 2n ** 64n - 1n), /18446744073709551615/],
    'a header that is not UTF-8': [raw(Uint8Array.of(0x7b, 0xff, 0x7d)), /not UTF-8/],
    'a header that is not JSON': [file('{"a":'), /not JSON/],
    'an empty header': [file(''), /not JSON/],
    'a byte order mark': [file('\ufeff{}'), /not JSON/],
    'a header that is a list': [file([]), /not a JSON object/],
    'a header that is null': [file('null'), /not a JSON object/],
    'a tensor that is no object': [file({ a: 3 }), /"a" is not described by/],
    'a tensor without fields': [file({ a: {} }), /dtype none/],
    'an unknown dtype': [file({ a: { ...u8([1], 0, 1), dtype: 'F8_E4M3' } }, [1]), /dtype "F8_E4M3"/],
    'a dtype from the prototype': [file({ a: { ...u8([1], 0, 1), dtype: 'toString' } }, [1]), /"toString"/],
    'a shape that is no list': [file({ a: u8(1, 0, 1) }, [1]), /has shape 1,/],
    'a negative dimension': [file({ a: u8([-1], 0, 1) }, [1]), /has shape \[-1\]/],
    'a fractional dimension': [file({ a: u8([0.5], 0, 1) }, [1]), /has shape \[0.5\]/],
    'a dimension that is a string': [file({ a: u8(['1'], 0, 1) }, [1]), /has shape \["1"\]/],
    'a shape that overflows': [file({ a: u8([2 ** 40, 2 ** 40], 0, 1) }, [1]), /too large/],
    'an infinite dimension': [
      file('{"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,0]}}'),
      /whole numbers/,
    ],
    'one offset': [file({ a: { ...u8([1], 0, 1), data_offsets: [1] } }, [1]), /data_offsets \[1\]/],
    'a negative offset': [file({ a: u8([1], -1, 0) }, [1]), /data_offsets \[-1,0\]/],
    'a fractional offset': [file({ a: u8([1], 0.5, 1.5) }, [1, 2]), /data_offsets/],
    'offsets in reverse': [file({ a: u8([1], 1, 0) }, [1]), /after its end/],
    'offsets beyond the file': [file({ a: u8([4], 0, 4) }, [1, 2]), /ends at byte 4 of 2/],
    'offsets that do not match the shape': [file({ a: u8([3], 0, 2) }, [1, 2]), /3 bytes by its shape/],
    'an overlap': [file({ a: u8([2], 0, 2), b: u8([2], 1, 3) }, [1, 2, 3]), /"b" overlaps/],
    'the same bytes twice': [file({ a: u8([1], 0, 1), b: u8([1], 0, 1) }, [1]), /overlaps/],
    'a gap before': [file({ a: u8([1], 1, 2) }, [1, 2]), /bytes 0 to 1 before tensor "a"/],
    'a gap between': [
      file({ b: u8([1], 2, 3), a: u8([1], 0, 1) }, [1, 2, 3]),
      /bytes 1 to 2 before tensor "b"/,
    ],
    'bytes left over': [file({ a: u8([1], 0, 1) }, [1, 2, 3]), /last 2 bytes/],
    'a BOOL of 2': [file({ a: { ...u8([2], 0, 2), dtype: 'BOOL' } }, [1, 2]), /holds 2 at index 1/],
    'metadata that is no object': [file({ __metadata__: 'x' }), /__metadata__ is not/],
    'metadata that is no string': [file({ __metadata__: { n: 3 } }), /__metadata__ "n" is not a string/],
    'a prototype key for a tensor': [file('{"__proto__":{}}'), /"__proto__" has dtype none/],
  }
  for (const [what, [bytes, message]] of Object.entries(faults)) {
    it(what, () => {
      const parse = () => parseSafetensors(bytes, WHERE)
      expect(parse).toThrow(InputError)
      expect(parse).toThrow(message)
      expect(parse).toThrow(WHERE)
    })
  }

  it('every cut of a file', () => {
    const bytes = writeSafetensors(TENSORS, METADATA)
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseSafetensors(bytes.subarray(0, length), WHERE)).toThrow(InputError)
    }
  })

  it('keeps control characters out of messages, and messages short', () => {
    const name = `\u001b[31m\n${'x'.repeat(1000)}`
    expect(() => parseSafetensors(file({ [name]: 1 }), WHERE)).toThrow(/^[ -~…]{0,200}$/)
  })
})

describe('finite', () => {
  it('refuses a NaN or an infinity by name and index, only when asked', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const bytes = writeSafetensors([['w', { dtype: 'F32', shape: [3], data: Float32Array.of(0, 1, bad) }]])
      expect(parseSafetensors(bytes, WHERE).tensors.size).toBe(1)
      expect(() => parseSafetensors(bytes, WHERE, { finite: true })).toThrow(`"w" holds ${bad} at index 2`)
    }
    expect(() => parseSafetensors(writeSafetensors(TENSORS), WHERE, { finite: true })).not.toThrow()
    expect(() => assertFinite('w', Float64Array.of(Number.NaN), WHERE)).toThrow(InputError)
  })
})
