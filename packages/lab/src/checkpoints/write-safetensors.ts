import { narrowF16 } from './half-floats.js'
import { ITEM_SIZES, isSize, product, quote, type SafeTensor } from './safetensors-format.js'

/** A tensor that can be written. The values of F16 are rounded to the nearest; BF16 is for reading alone. */
export type WritableTensor =
  | Exclude<SafeTensor, { data: Float32Array }>
  | (Extract<SafeTensor, { data: Float32Array }> & { readonly dtype: 'F32' | 'F16' })

/** `safetensorsParts` as one array. */
export function writeSafetensors(
  tensors: Iterable<readonly [string, WritableTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const parts = [...safetensorsParts(tensors, metadata)]
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/**
 * A safetensors file, piece by piece, so that a large one need not be held twice. The same tensors and metadata give
 * the same bytes, whatever their order: header keys are sorted; data lies by item size, widest first, then by name,
 * so that every tensor is aligned.
 *
 * @param tensors name and tensor; the data takes the product of the shape
 * @param metadata strings for `__metadata__`
 * @throws RangeError on a repeated or reserved name, or when data and shape do not agree
 */
export function* safetensorsParts(
  tensors: Iterable<readonly [string, WritableTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array> {
  const sorted = [...tensors].sort(([a], [b]) => compare(a, b))
  sorted.forEach(([name, { shape, data }], i) => {
    if (name === '__metadata__' || name === sorted[i - 1]?.[0]) {
      throw new RangeError(
        `tensor name ${quote(name)} is ${name === '__metadata__' ? 'reserved' : 'repeated'}`,
      )
    }
    if (!shape.every(isSize) || product(shape) !== data.length) {
      throw new RangeError(`tensor ${quote(name)} of shape [${shape.join(', ')}] has ${data.length} values`)
    }
  })
  // The sort is stable: names stay in order within one item size.
  const itemSize = ({ dtype }: WritableTensor) => ITEM_SIZES.get(dtype)!
  const placed = sorted.toSorted(([, a], [, b]) => itemSize(b) - itemSize(a))
  const offsets = new Map<string, [number, number]>()
  let length = 0
  for (const [name, tensor] of placed) {
    const end = length + tensor.data.length * itemSize(tensor)
    offsets.set(name, [length, end])
    length = end
  }

  const fields = sorted.map(([name, { dtype, shape }]) => {
    return field(name, JSON.stringify({ dtype, shape, data_offsets: offsets.get(name) }))
  })
  const notes = Object.entries(metadata).sort(([a], [b]) => compare(a, b))
  if (notes.length > 0) {
    fields.unshift(
      field('__metadata__', object(notes.map(([key, value]) => field(key, JSON.stringify(value))))),
    )
  }
  const header = new TextEncoder().encode(object(fields))
  const start = new Uint8Array(8 + Math.ceil(header.length / 8) * 8).fill(0x20)
  new DataView(start.buffer).setBigUint64(0, BigInt(start.length - 8), true)
  start.set(header, 8)
  yield start
  for (const [, tensor] of placed) {
    const data = tensor.dtype === 'F16' ? narrowF16(tensor.data) : tensor.data
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  }
}

// By hand, because an object puts keys such as "10" first, whatever order it was given.
const field = (key: string, json: string) => `${JSON.stringify(key)}:${json}`
const object = (fields: string[]) => `{${fields.join(',')}}`
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
