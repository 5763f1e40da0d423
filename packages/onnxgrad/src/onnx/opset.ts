import { type DType, dtypes } from '../graph/dtype.js'
import type { Attribute, AttributeKind, Attributes, OpDefinition, Value } from '../graph/graph.js'
import { axisOf } from '../graph/shape.js'
import { sizeOf, type Tensor } from '../graph/tensor.js'
import { Tanh } from '../ops/activation.js'
import { Cast } from '../ops/cast.js'
import { constantNumbers, integers, required } from '../ops/define-op.js'
import { Add, Mul } from '../ops/elementwise.js'
import { Expand } from '../ops/layout.js'
import { opFor } from '../ops/registry.js'
import { Resize, resizeByProducts } from '../ops/resize.js'
import { dtypeOf } from './tensor-message.js'

// How nodes of opset 13 to 21 are said in the form that this package works with: opset 17, static shapes. An
// operator that is not named here is taken as it stands.

/** The opsets of the standard domain that can be read. */
export const OLDEST_OPSET = 13
export const NEWEST_OPSET = 21

export type ForeignAttribute = Attribute | Tensor

/** A node of a file whose inputs are values of a graph. */
export interface ForeignNode {
  readonly op: string
  readonly inputs: readonly (Value | null)[]
  readonly attributes: Readonly<Record<string, ForeignAttribute>>
  /** How many outputs the file names. */
  readonly outputs: number
  readonly opset: number
}

/** Where a node is put. What is applied to constants may come back as a constant. */
export interface Builder {
  apply(
    definition: OpDefinition,
    inputs: readonly (Value | null)[],
    attributes?: Attributes,
  ): readonly Value[]
  constant(dtype: DType, shape: readonly number[], values: ArrayLike<number | bigint>): Value
  /** Whether a constant of so many elements may be computed; if so, they count as computed. */
  affords(elements: number): boolean
}

type Conversion = (node: ForeignNode, to: Builder) => readonly Value[]

/**
 * Attributes that this package does not have, each at the value that ONNX takes where it is left out: exporters write it
 * down. Every other value is refused.
 */
const defaults: Readonly<Record<string, Readonly<Record<string, Attribute>>>> = {
  // Heeded only in conversions to float8.
  Cast: { saturate: 1 },
  Resize: { antialias: 0, keep_aspect_ratio_policy: 'stretch' },
}

const fits: Record<AttributeKind, (value: ForeignAttribute) => boolean> = {
  int: Number.isInteger,
  float: value => typeof value === 'number',
  string: value => typeof value === 'string',
  ints: value => Array.isArray(value) && value.every(Number.isInteger),
}

/** The node's attributes, if its operator declares them all. */
function declared({ op, attributes }: ForeignNode, definition: OpDefinition): Attributes {
  const kinds = new Map(Object.entries(definition.attributes))
  const kept: Record<string, Attribute> = {}
  for (const [name, value] of Object.entries(attributes)) {
    const kind = kinds.get(name)
    if (!kind && value === defaults[op]?.[name]) continue
    const shown = JSON.stringify(typeof value === 'object' && 'data' in value ? 'a tensor' : value).slice(
      0,
      80,
    )
    if (!kind) throw new Error(`attribute ${name} = ${shown} is not supported`)
    if (!fits[kind](value)) throw new Error(`attribute ${name} = ${shown} is not of kind ${kind}`)
    kept[name] = value as Attribute
  }
  return kept
}

const asItStands: Conversion = (node, to) => {
  const definition = opFor(node.op)
  if (!definition) throw new Error(`operator ${node.op} is not known`)
  return to.apply(definition, node.inputs, declared(node, definition))
}

const vector = (to: Builder, values: readonly number[]) => to.constant('int64', [values.length], values)

/** Axes given by an input (from opset 18) or by the attribute. */
function axesGiven({ inputs, attributes }: ForeignNode): number[] | undefined {
  return inputs[1] ? integers(inputs[1]) : (attributes.axes as number[] | undefined)
}

/** Of any reduction: since opset 18 (the sum: 13) the axes are an input. */
const reduction: Conversion = (node, to) => {
  const { axes: _, noop_with_empty_axes: noop, ...attributes } = node.attributes
  const x = required(node.inputs, 0)
  const axes = axesGiven(node) ?? []
  if (axes.length === 0) return noop === 1 ? [x] : asItStands({ ...node, inputs: [x], attributes }, to)
  // Of the reductions only the sum has its axes as an input in opset 17.
  if (node.op === 'ReduceSum') return asItStands({ ...node, inputs: [x, vector(to, axes)], attributes }, to)
  return asItStands({ ...node, inputs: [x], attributes: { ...attributes, axes } }, to)
}

/** x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2: the approximation of Hendrycks and Gimpel, arXiv 1606.08415. */
function geluTanh(x: Value, to: Builder): readonly Value[] {
  const by = (definition: OpDefinition, a: Value, b: number) =>
    to.apply(definition, [a, to.constant(x.dtype, [], [b])])[0]!
  const mul = (a: Value, b: Value) => to.apply(Mul, [a, b])[0]!
  const bent = by(Add, by(Mul, mul(x, x), 0.044715), 1)
  const [bounded] = to.apply(Tanh, [by(Mul, mul(x, bent), Math.sqrt(2 / Math.PI))])
  return [mul(by(Mul, x, 0.5), by(Add, bounded!, 1))]
}

/** Of whole shapes. */
const resized: Conversion = (node, to) => {
  const attributes = declared(node, Resize)
  const x = required(node.inputs, 0)
  if (attributes.mode !== 'cubic' || x.data || x.dtype !== 'float32') return asItStands(node, to)
  Resize.infer(node.inputs, attributes)
  return [resizeByProducts(node.inputs, attributes)]
}

const conversions: Readonly<Record<string, Conversion>> = {
  Constant({ attributes }, to) {
    const [kind, value] = Object.entries(attributes)[0] ?? []
    if (kind === 'value') {
      const { dtype, shape, data } = value as Tensor
      return [to.constant(dtype, shape, data)]
    }
    const dtype = kind?.startsWith('value_float') ? 'float32' : 'int64'
    if (typeof value === 'number') return [to.constant(dtype, [], [value])]
    if (Array.isArray(value)) return [to.constant(dtype, [value.length], value)]
    throw new Error(`a constant given by ${kind ?? 'nothing'} is not supported`)
  },

  // Shapes are static, so whatever is said of a shape is a constant.
  Shape({ inputs, attributes }, to) {
    const { start, end } = attributes as { start?: number; end?: number }
    return [vector(to, required(inputs, 0).shape.slice(start, end))]
  },
  Size: ({ inputs }, to) => [to.constant('int64', [], [sizeOf(required(inputs, 0).shape)])],
  ConstantOfShape({ inputs, attributes: { value } }, to) {
    const { dtype, data } = (value as Tensor | undefined) ?? { dtype: 'float32', data: [0] }
    if (data.length !== 1) throw new Error(`attribute value has ${data.length} elements instead of one`)
    return to.apply(Expand, [to.constant(dtype, [], data), required(inputs, 0)])
  },
  Range({ inputs }, to) {
    const [start, limit, delta] = [0, 1, 2].map(i => constantNumbers(required(inputs, i))[0]) as [
      number,
      number,
      number,
    ]
    const count = Math.max(0, Math.ceil((limit - start) / delta))
    if (!to.affords(count)) throw new Error(`from ${start} to ${limit} by ${delta} is too long`)
    const values = Array.from({ length: count }, (_, i) => start + i * delta)
    return [to.constant(inputs[0]!.dtype, [count], values)]
  },

  Reshape(node, to) {
    const { allowzero, ...attributes } = node.attributes
    // With allowzero a 0 is a length; without, it stands for the input's own.
    if (allowzero === 1 && integers(required(node.inputs, 1)).includes(0)) {
      throw new Error('allowzero with a zero in the shape is not supported')
    }
    return asItStands({ ...node, attributes }, to)
  },

  Split(node, to) {
    const { num_outputs: _, ...attributes } = node.attributes
    if (node.inputs[1]) return asItStands({ ...node, attributes }, to)
    const x = required(node.inputs, 0)
    const length = x.shape[axisOf((attributes.axis as number | undefined) ?? 0, x.shape.length)]!
    // Equal parts; the last one is shorter where they do not come out even.
    const part = Math.ceil(length / node.outputs)
    const lengths = Array.from({ length: node.outputs }, (_, i) =>
      Math.max(0, Math.min(part, length - i * part)),
    )
    return asItStands({ ...node, inputs: [x, vector(to, lengths)], attributes }, to)
  },
  Pad(node, to) {
    const [x, pads, value, given] = node.inputs
    if (!given) return asItStands(node, to)
    const rank = required(node.inputs, 0).shape.length
    const [axes, amounts] = [integers(given), integers(required(node.inputs, 1))]
    const all = new Array<number>(2 * rank).fill(0)
    axes.forEach((axis, i) => {
      all[axisOf(axis, rank)] = amounts[i]!
      all[axisOf(axis, rank) + rank] = amounts[i + axes.length]!
    })
    return asItStands({ ...node, inputs: [x!, pads ? vector(to, all) : null, value ?? null] }, to)
  },
  Resize(node, to) {
    const { axes: given, ...attributes } = node.attributes
    const [x, roi = null, scales = null, sizes = null] = node.inputs
    if (!given) return resized(node, to)
    // Sizes or scales are those of some axes; the others stay as they are.
    const { shape } = required(node.inputs, 0)
    const axes = (given as readonly number[]).map(axis => axisOf(axis, shape.length))
    const whole = (numbers: readonly number[], other: (axis: number) => number) =>
      shape.map((_, axis) => (axes.includes(axis) ? numbers[axes.indexOf(axis)]! : other(axis)))
    const inputs = sizes
      ? [
          x!,
          roi,
          null,
          vector(
            to,
            whole(integers(sizes), axis => shape[axis]!),
          ),
        ]
      : [
          x!,
          roi,
          to.constant(
            'float32',
            [shape.length],
            whole(constantNumbers(required([scales], 0)), () => 1),
          ),
        ]
    return resized({ ...node, inputs, attributes }, to)
  },
  Clip(node, to) {
    const x = required(node.inputs, 0)
    // Bounds that bound nothing, for what is left out.
    const bounds = dtypes[x.dtype].range.map(
      (bound, i) => node.inputs[i + 1] ?? to.constant(x.dtype, [], [bound]),
    )
    return asItStands({ ...node, inputs: [x, ...bounds] }, to)
  },
  Gelu: ({ inputs, attributes: { approximate }, ...node }, to) =>
    approximate === 'tanh'
      ? geluTanh(required(inputs, 0), to)
      : asItStands(
          { ...node, inputs, attributes: approximate === 'none' ? {} : { approximate: approximate! } },
          to,
        ),
  Pow(node, to) {
    // Base and exponent may be of different types; the result is of the base's.
    const [x, exponent] = [required(node.inputs, 0), required(node.inputs, 1)]
    const same =
      x.dtype === exponent.dtype ? exponent : to.apply(Cast, [exponent], { to: dtypes[x.dtype].onnx })[0]!
    return asItStands({ ...node, inputs: [x, same] }, to)
  },
  Cast(node, to) {
    dtypeOf(node.attributes.to as number, 'the result')
    return asItStands(node, to)
  },
  CastLike({ inputs }, to) {
    return to.apply(Cast, [required(inputs, 0)], { to: dtypes[required(inputs, 1).dtype].onnx })
  },

  Identity: ({ inputs }) => [required(inputs, 0)],
  Dropout({ inputs, outputs }, to) {
    const x = required(inputs, 0)
    if (inputs[2] && constantNumbers(inputs[2])[0] !== 0) {
      throw new Error(
        'training_mode draws random numbers, which is not supported; export the model in eval mode',
      )
    }
    const kept = () => to.apply(Expand, [to.constant('bool', [], [1]), vector(to, x.shape)])[0]!
    return outputs > 1 ? [x, kept()] : [x]
  },
  BatchNormalization(node, to) {
    // Before opset 14 training was told from the number of outputs.
    if (node.opset < 14 && node.outputs > 1) {
      throw new Error('the training form of opset 13 is not supported; export with opset 14 or later')
    }
    return asItStands(node, to)
  },
}

/** Operators that this package does not have: they become constants, another operator, or nothing. */
const replaced: ReadonlySet<string> = new Set(
  'CastLike Constant ConstantOfShape Dropout Range Shape Size'.split(' '),
)

/** Whether an operator of a file can be read at all. */
export function isReadable(op: string): boolean {
  return replaced.has(op) || opFor(op) !== undefined
}

/** Puts a node of a file into a graph, in this package's form. Throws Error that says what is not supported. */
export function convert(node: ForeignNode, to: Builder): readonly Value[] {
  if (node.op.startsWith('Reduce')) return reduction(node, to)
  return (Object.hasOwn(conversions, node.op) ? conversions[node.op]! : asItStands)(node, to)
}
