import { sizeOf, type Tensor, type Value } from 'onnxgrad'
import { movingFrom } from './linear-heads.js'

/**
 * What a tensor of a network is: a matrix or kernel, to which weight decay applies, or another weight: a bias, scale or
 * embedding.
 */
export type ParameterRole = 'matrix' | 'vector'

/** In which places an operator takes weights, beside the first of a product. */
const matrices: Readonly<Record<string, readonly number[]>> = {
  MatMul: [0, 1],
  Gemm: [0, 1],
  'com.microsoft:FusedMatMul': [0, 1],
  Einsum: [0, 1, 2, 3],
  Conv: [1],
  ConvTranspose: [1],
}
const vectors: Readonly<Record<string, readonly number[]>> = {
  Gemm: [2],
  Conv: [2],
  ConvTranspose: [2],
  LayerNormalization: [1, 2],
  BatchNormalization: [1, 2],
  InstanceNormalization: [1, 2],
}
/** Operators behind which an image still is one: its values shifted, scaled or moved. */
const ofImages = new Set(
  'Add Sub Mul Div Cast Clip Concat Flatten Gather Pad Reshape Resize Slice Split Squeeze Transpose Unsqueeze'.split(
    ' ',
  ),
)
/** No weight goes through so much arithmetic before it meets the images. */
const MOST_STEPS = 1000
/** What is added to attention scores where nothing is to be attended to. */
const MASKED = -100

/**
 * Which tensors of a network are its weights, told by where they first meet what depends on the images:
 *
 * - factors of products and convolutions (`matrix`), their biases, and the scales and shifts of norms;
 * - what is added, unless it is a mask of attention (zeros and values of at most −100);
 * - what is concatenated: class tokens, registers;
 * - factors that vary along one axis: layer scale. Those of several axes are rotary embeddings or masks;
 * - never one number for all (scales of attention, ε), what shifts or scales the images themselves (their normalization),
 *   and the ones and zeros with which exporters write an InstanceNormalization that has no weights.
 *
 * @param parameters values of the graph by name, with their data.
 * @param images what the network sees.
 * @param end what counts: the logits.
 * @returns roles by name; what is not there stays as it is in training.
 */
export function parameterRoles(
  parameters: Readonly<Record<string, { readonly value: Value; readonly tensor: Tensor }>>,
  images: Value,
  end: Value,
): Map<string, ParameterRole> {
  const moving = movingFrom(images)
  const raw = rawImages(images, moving)
  const readers = readersOf(end)
  const roles = new Map<string, ParameterRole>()
  for (const [name, { value, tensor }] of Object.entries(parameters)) {
    const found = meetings(value, readers, moving).map(meeting => roleAt(meeting, tensor, raw))
    if (found.includes('matrix')) roles.set(name, 'matrix')
    else if (found.includes('vector')) roles.set(name, 'vector')
  }
  return roles
}

type Reader = {
  readonly op: string
  readonly inputs: readonly (Value | null)[]
  readonly outputs: readonly Value[]
  readonly slot: number
}

/** A tensor where it meets what depends on the images. */
interface Meeting extends Reader {
  /** As it arrives there. */
  readonly value: Value
  /** Whether it was spread over a larger tensor of weights before. */
  readonly spread: boolean
}

/** Who reads a value, of all that matters for `end`. */
function readersOf(end: Value): Map<Value, Reader[]> {
  const readers = new Map<Value, Reader[]>()
  const nodes = new Set(end.producer ? [end.producer] : [])
  for (const { inputs, outputs, definition } of nodes) {
    inputs.forEach((input, slot) => {
      if (!input) return
      const known = readers.get(input)
      const reader = { op: definition.name, inputs, outputs, slot }
      if (known) known.push(reader)
      else readers.set(input, [reader])
      if (input.producer) nodes.add(input.producer)
    })
  }
  return readers
}

function meetings(
  start: Value,
  readers: ReadonlyMap<Value, readonly Reader[]>,
  moving: ReadonlySet<Value>,
): Meeting[] {
  const found: Meeting[] = []
  const at = new Map<Value, boolean>([[start, false]])
  for (const [value, spread] of at) {
    if (at.size > MOST_STEPS) break
    for (const reader of readers.get(value) ?? []) {
      if (reader.inputs.some(input => input && moving.has(input))) found.push({ ...reader, value, spread })
      // Arithmetic of weights alone.
      else {
        for (const output of reader.outputs) {
          const smaller = reader.inputs.length > 1 && sizeOf(value.shape) < sizeOf(output.shape)
          if (!at.has(output)) at.set(output, spread || (smaller && reader.op !== 'Concat'))
        }
      }
    }
  }
  return found
}

function roleAt(
  { op, slot, inputs, value, spread }: Meeting,
  tensor: Tensor,
  raw: ReadonlySet<Value>,
): ParameterRole | null {
  if (matrices[op]?.includes(slot))
    return sizeOf(tensor.shape) === 1 && spread ? null : spread ? 'vector' : 'matrix'
  if (op === 'InstanceNormalization' && slot > 0)
    return isConstant(tensor, slot === 1 ? 1 : 0) ? null : 'vector'
  if (vectors[op]?.includes(slot) || op === 'Concat') return 'vector'
  const other = inputs.find(input => input && input !== value)
  if (sizeOf(value.shape) === 1 || sizeOf(tensor.shape) === 1 || (other && raw.has(other))) return null
  if (op === 'Add' || op === 'Sub') return isMask(tensor) ? null : 'vector'
  if (op === 'Mul') return value.shape.filter(length => length > 1).length === 1 ? 'vector' : null
  return null
}

/** Values that still are the images, put in order. */
function rawImages(images: Value, moving: ReadonlySet<Value>): Set<Value> {
  const raw = new Set([images])
  for (const { definition, inputs, outputs } of images.graph.nodes) {
    const from = inputs.filter(input => input && moving.has(input)) as Value[]
    if (from.length > 0 && from.every(input => raw.has(input)) && ofImages.has(definition.name))
      for (const output of outputs) raw.add(output)
  }
  return raw
}

function isConstant({ data }: Tensor, value: number): boolean {
  return (data as Float32Array).every(element => element === value)
}

/** Whether it hides some tokens from others, or could and hides none: zeros for every pair of tokens. */
function isMask({ shape, data }: Tensor): boolean {
  const values = data as Float32Array
  const pairs = shape.length > 2 && shape.at(-1) === shape.at(-2)
  return values.every(v => v === 0 || v <= MASKED) && (pairs || values.some(v => v !== 0))
}
