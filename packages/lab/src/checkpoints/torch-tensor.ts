import { InputError } from 'onnxgrad'
import { decodeTensor } from './safetensors.js'
import { ITEM_SIZES, isSize, product, type SafeDtype, type SafeTensor } from './safetensors-format.js'

/** PyTorch's names of storages and what they hold. */
export const storageTypes: Readonly<Record<string, SafeDtype>> = {
  FloatStorage: 'F32',
  DoubleStorage: 'F64',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
}

/** Values of one type, one after the other, that tensors are views of. */
export class TorchStorage {
  constructor(
    readonly dtype: SafeDtype,
    readonly bytes: Uint8Array,
  ) {}

  /** Number of values. */
  get length(): number {
    return this.bytes.length / ITEM_SIZES.get(this.dtype)!
  }
}

/** A view of a storage: element (i, j, …) is value offset + i · strides[0] + j · strides[1] + … */
export class TorchTensor {
  private constructor(
    private readonly storage: TorchStorage,
    private readonly offset: number,
    readonly shape: readonly number[],
    private readonly strides: readonly number[],
  ) {}

  /**
   * Checks what a pickle says of a tensor.
   * @returns what is wrong with it, if it is no view of the storage or has more elements than that has values.
   */
  static of(storage: unknown, offset: unknown, shape: unknown, strides: unknown): TorchTensor | string {
    if (!(storage instanceof TorchStorage)) return 'it has no storage'
    if (!isSize(offset) || !isSizes(shape) || !isSizes(strides) || shape.length !== strides.length)
      return `its offset ${show(offset)}, size ${show(shape)} and stride ${show(strides)} do not go together`
    const count = product(shape)
    if (count === undefined || count > storage.length)
      return `it has size ${show(shape)}, and its storage ${storage.length} values`
    const last = offset + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0)
    if (count > 0 && !(last < storage.length))
      return `it reaches to value ${last}, and its storage has ${storage.length}`
    return new TorchTensor(storage, offset, shape, strides)
  }

  get dtype(): SafeDtype {
    return this.storage.dtype
  }

  get byteLength(): number {
    return product(this.shape)! * ITEM_SIZES.get(this.dtype)!
  }

  /**
   * Its values, row by row.
   * @throws InputError if they are none of its type.
   */
  read(name: string, file: string): SafeTensor {
    return decodeTensor({ name, dtype: this.dtype, shape: this.shape }, this.#bytes(), file)
  }

  #bytes(): Uint8Array {
    const { shape, strides, offset, storage } = this
    const size = ITEM_SIZES.get(storage.dtype)!
    const contiguous = shape.every(
      (dim, axis) => dim === 1 || strides[axis] === product(shape.slice(axis + 1)),
    )
    if (contiguous) return storage.bytes.subarray(offset * size, offset * size + this.byteLength)
    const made = new Uint8Array(this.byteLength)
    const place = shape.map(() => 0)
    let from = offset
    for (let to = 0; to < made.length; to += size) {
      for (let i = 0; i < size; i++) made[to + i] = storage.bytes[from * size + i]!
      // The next place, the last axis first.
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        from += strides[axis]!
        if (++place[axis]! < shape[axis]!) break
        from -= shape[axis]! * strides[axis]!
        place[axis] = 0
      }
    }
    return made
  }
}

/** A number or a list of numbers as it may stand in a message; a pickle may have anything there. */
function show(value: unknown): string {
  const isNumber = (inner: unknown) => typeof inner === 'number' || typeof inner === 'bigint'
  if (isNumber(value)) return String(value)
  if (!Array.isArray(value) || value.length > 16 || !value.every(isNumber)) return 'of another kind'
  return `[${value.join(', ')}]`
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 16 && value.every(isSize)
}

/** @throws InputError if `made` is a message. */
export function assertTensor(made: TorchTensor | string, file: string): TorchTensor {
  if (typeof made === 'string') throw new InputError(`${file} holds a tensor that is damaged: ${made}`)
  return made
}
