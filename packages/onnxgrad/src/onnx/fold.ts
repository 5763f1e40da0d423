import { allocate, type TensorData } from '../graph/dtype.js'
import type { Attributes, OpDefinition, Value } from '../graph/graph.js'
import { axesOf, axisOf } from '../graph/shape.js'
import { type Shape, sizeOf, type TensorType } from '../graph/tensor.js'
import { bounds } from '../ops/layout.js'

// Exporters compute shapes in the graph. Here shapes are static, so that arithmetic on a few integers is carried
// out while the graph is built. Elements are numbers, or bigint for int64; both know the operators +, − and *,
// and typed arrays wrap results as ONNX's integers do.

type Element = number & bigint
type Evaluate = (inputs: readonly Value[], attributes: Attributes, type: TensorType) => ArrayLike<Element>

const elements = (value: Value) => value.data as unknown as ArrayLike<Element>
const isWhole = (x: Element) => typeof x === 'bigint'

/** Position of every element of `shape` in coordinates. */
function* coordinates(shape: Shape): Generator<readonly number[]> {
  const at = shape.map(() => 0)
  for (let left = sizeOf(shape); left > 0; left--) {
    yield at
    for (let axis = shape.length - 1; axis >= 0 && ++at[axis]! === shape[axis]; axis--) at[axis] = 0
  }
}

/** Place in row-major order; an axis of length 1 is broadcast, missing leading axes are. */
function offset(at: readonly number[], shape: Shape): number {
  const lead = at.length - shape.length
  return shape.reduce((sum, dim, i) => sum * dim + (dim === 1 ? 0 : at[lead + i]!), 0)
}

const elementwise =
  (rule: (...operands: Element[]) => number | bigint | boolean): Evaluate =>
  (inputs, _, type) =>
    Array.from(coordinates(type.shape), at => {
      const result = rule(...inputs.map(x => elements(x)[offset(at, x.shape)]!))
      return (typeof result === 'boolean' ? Number(result) : result) as Element
    })

/** Elements of the first input, moved: `source` gives the coordinates that a coordinate of the result is taken from. */
const moved =
  (
    source: (inputs: readonly Value[], attributes: Attributes) => (at: readonly number[]) => number[],
  ): Evaluate =>
  (inputs, attributes, type) => {
    const from = source(inputs, attributes)
    const [x] = inputs as [Value]
    return Array.from(coordinates(type.shape), at => elements(x)[offset(from(at), x.shape)]!)
  }

const same: Evaluate = ([x]) => elements(x!)

const reduced =
  (
    rule: (a: Element, b: Element) => number | bigint,
    finish: (sum: Element, count: number) => number = sum => sum,
  ): Evaluate =>
  (inputs, attributes) => {
    const [x, given] = inputs as [Value, Value?]
    const listed = (given ? Array.from(given.data!, Number) : attributes.axes) as number[] | undefined
    const axes = listed ? axesOf(listed, x.shape.length) : x.shape.map((_, i) => i)
    const kept = x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim))
    const out: Element[] = []
    let i = 0
    for (const at of coordinates(x.shape)) {
      const place = offset(at, kept)
      const next = elements(x)[i++]!
      out[place] = (place in out ? rule(out[place]!, next) : next) as Element
    }
    const count = axes.reduce((n, axis) => n * x.shape[axis]!, 1)
    return out.map(sum => finish(sum, count) as Element)
  }

/** Integer division and remainder as in C: towards zero. */
const quotient = (a: Element, b: Element, whole: boolean) =>
  whole && !isWhole(a) ? Math.trunc(a / b) : a / b
const remainder = (a: Element, b: Element) => ((a % b) + b) % b

function power(a: Element, b: Element): number | bigint {
  if (!isWhole(a)) return a ** Number(b)
  let [result, base, left] = [1n, a as bigint, BigInt(b)]
  if (left < 0n) throw new RangeError('an integer has no negative power')
  for (; left > 0n; left >>= 1n) {
    if (left & 1n) result = BigInt.asIntN(64, result * base)
    base = BigInt.asIntN(64, base * base)
  }
  return result
}

function roundHalfToEven(x: number): number {
  const rounded = Math.round(x)
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}

const evaluators: Record<string, Evaluate> = {
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  Div: (inputs, attributes, type) =>
    elementwise((a, b) => quotient(a, b, type.dtype === 'int32' || type.dtype === 'uint8'))(
      inputs,
      attributes,
      type,
    ),
  Mod: (inputs, attributes, type) =>
    elementwise((a, b) => (attributes.fmod ? a % b : remainder(a, b)))(inputs, attributes, type),
  Pow: elementwise(power),
  Min: elementwise((...all) => all.reduce((a, b) => (b < a ? b : a))),
  Max: elementwise((...all) => all.reduce((a, b) => (b > a ? b : a))),
  Neg: elementwise(a => -a),
  Abs: elementwise(a => (a < 0 ? -a : a)),
  Sqrt: elementwise(a => Math.sqrt(a)),
  Exp: elementwise(a => Math.exp(a)),
  Log: elementwise(a => Math.log(a)),
  Floor: elementwise(a => Math.floor(a)),
  Ceil: elementwise(a => Math.ceil(a)),
  Round: elementwise(a => roundHalfToEven(a)),
  Equal: elementwise((a, b) => a === b),
  Greater: elementwise((a, b) => a > b),
  GreaterOrEqual: elementwise((a, b) => a >= b),
  Less: elementwise((a, b) => a < b),
  LessOrEqual: elementwise((a, b) => a <= b),
  And: elementwise((a, b) => a && b),
  Or: elementwise((a, b) => a || b),
  Not: elementwise(a => !a),
  IsNaN: elementwise(a => Number.isNaN(a)),
  Where: elementwise((condition, a, b) => (condition ? a : b)),
  Cast: (inputs, attributes, type) =>
    elementwise(a => {
      if (type.dtype === 'int64') return isWhole(a) ? a : BigInt(Math.trunc(a))
      // biome-ignore lint/suspicious/noDoubleEquals: zero is 0 or 0n
      return type.dtype === 'bool' ? (a as number) != 0 : Number(a)
    })(inputs, attributes, type),
  Reshape: same,
  Squeeze: same,
  Unsqueeze: same,
  Flatten: same,
  Transpose: moved(([x], { perm }) => {
    const order = (perm as number[] | undefined) ?? x!.shape.map((_, i) => x!.shape.length - 1 - i)
    return at => order.map((_, axis) => at[order.indexOf(axis)]!)
  }),
  Expand: moved(() => at => [...at]),
  Tile: moved(
    ([x]) =>
      at =>
        x!.shape.map((dim, i) => at[i]! % dim),
  ),
  Slice: moved(inputs => {
    const cuts = bounds(inputs)
    return at => {
      const from = [...at]
      for (const { axis, start, step } of cuts) from[axis] = start + at[axis]! * step
      return from
    }
  }),
  Gather: moved(([x, indices], attributes) => {
    const axis = axisOf((attributes.axis as number | undefined) ?? 0, x!.shape.length)
    const rank = indices!.shape.length
    return at => {
      const index = Number(elements(indices!)[offset(at.slice(axis, axis + rank), indices!.shape)]!)
      return [...at.slice(0, axis), axisOf(index, x!.shape[axis]!), ...at.slice(axis + rank)]
    }
  }),
  Concat(inputs, attributes, type) {
    const axis = axisOf((attributes.axis as number | undefined) ?? 0, type.shape.length)
    const starts = [0]
    for (const x of inputs) starts.push(starts.at(-1)! + x.shape[axis]!)
    return Array.from(coordinates(type.shape), at => {
      const i = starts.findLastIndex(
        (start, j) => start <= at[axis]! && inputs[j] && inputs[j].shape[axis]! > 0,
      )
      return elements(inputs[i]!)[offset(at.with(axis, at[axis]! - starts[i]!), inputs[i]!.shape)]!
    })
  },
  ScatterND(inputs) {
    const [x, indices, updates] = inputs as [Value, Value, Value]
    const depth = indices.shape.at(-1)!
    const run = sizeOf(x.shape.slice(depth))
    const out = Array.from(elements(x))
    const tuples = Array.from(indices.data!, Number)
    for (let i = 0; i * depth < tuples.length; i++) {
      const tuple = tuples.slice(i * depth, (i + 1) * depth)
      const at = tuple.reduce(
        (place, index, axis) => place * x.shape[axis]! + axisOf(index, x.shape[axis]!),
        0,
      )
      for (let j = 0; j < run; j++) out[at * run + j] = elements(updates)[i * run + j]!
    }
    return out
  },
  ReduceSum: reduced((a, b) => a + b),
  ReduceProd: reduced((a, b) => a * b),
  ReduceMax: reduced((a, b) => (b > a ? b : a)),
  ReduceMin: reduced((a, b) => (b < a ? b : a)),
  ReduceMean: reduced(
    (a, b) => a + b,
    (sum, count) => sum / count,
  ),
}

/** A constant that was computed while the graph was built. */
export interface Folded extends TensorType {
  readonly data: TensorData
}

/**
 * Carries out an operator on constants. Null where it is not one of the operators of shape arithmetic, or where the
 * elements to be read or made cannot be afforded. Throws Error where the operator's own rule refuses.
 */
export function fold(
  definition: OpDefinition,
  inputs: readonly (Value | null)[],
  attributes: Attributes,
  affords: (elements: number) => boolean,
): Folded | null {
  const { name, infer } = definition
  if (!Object.hasOwn(evaluators, name)) return null
  const [type] = infer(inputs, attributes) as [TensorType]
  const size = sizeOf(type.shape)
  const work = inputs.reduce((most, input) => Math.max(most, input?.data?.length ?? 0), size)
  if (!affords(work)) return null
  const results = evaluators[name]!(inputs as readonly Value[], attributes, type)
  const data = allocate(type.dtype, size)
  for (let i = 0; i < size; i++) data[i] = results[i]!
  return { ...type, data }
}
