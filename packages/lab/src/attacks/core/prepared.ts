import { type DType, InputError, type Shape, type Tensor } from 'onnxgrad'
import { parseSafetensors } from '../../checkpoints/safetensors.js'
import { type WritableTensor, writeSafetensors } from '../../checkpoints/write-safetensors.js'

/** What an attack makes once for all its images, by name. */
export type Prepared = Readonly<Record<string, Tensor>>

/** As the bytes of a safetensors file; equal tensors give equal bytes. */
export function encodePrepared(prepared: Prepared): Uint8Array {
  return writeSafetensors(
    Object.entries(prepared).map(([name, tensor]): [string, WritableTensor] => [name, writable(tensor)]),
  )
}

/** @param where the file's name, for messages. @throws InputError if the bytes are no such file. */
export function decodePrepared(bytes: Uint8Array, where: string): Prepared {
  const { tensors } = parseSafetensors(bytes, where)
  return Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, data }]) => [name, { dtype: dtypes[dtype], shape, data }]),
  )
}

/**
 * One of the values, as floats.
 * @throws InputError if it is not there in this shape.
 */
export function preparedFloats(prepared: Prepared, name: string, shape: Shape): Float32Array {
  const tensor = prepared[name]
  if (tensor?.data instanceof Float32Array && tensor.shape.join() === shape.join()) return tensor.data
  const came = tensor ? `${tensor.dtype}[${tensor.shape.join(', ')}]` : 'nothing'
  throw new InputError(
    `the attack was prepared otherwise: its '${name}' should be float32[${shape.join(', ')}], not ${came}`,
  )
}

const dtypes = {
  F32: 'float32',
  F16: 'float32',
  BF16: 'float32',
  F64: 'float64',
  I64: 'int64',
  I32: 'int32',
  U8: 'uint8',
  BOOL: 'bool',
} as const satisfies Record<string, DType>

function writable({ dtype, shape, data }: Tensor): WritableTensor {
  if (data instanceof Float32Array) return { dtype: 'F32', shape, data }
  if (data instanceof Float64Array) return { dtype: 'F64', shape, data }
  if (data instanceof BigInt64Array) return { dtype: 'I64', shape, data }
  if (data instanceof Int32Array) return { dtype: 'I32', shape, data }
  return { dtype: dtype === 'bool' ? 'BOOL' : 'U8', shape, data }
}
