import { reshape, sizeOf, type Value } from 'onnxgrad'

/** What may lie between a linear layer and the logits, none of which mixes classes or images. */
const reshapings = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity'])
const elementwise = new Set(['Add', 'Sub', 'Mul', 'Div'])
const products = new Set(['MatMul', 'Gemm', 'com.microsoft:FusedMatMul'])

/** No head has so many nodes. */
const MOST_STEPS = 100

/** Something that a head has for each class. */
export interface HeadTerm {
  readonly role: 'weights' | 'shift' | 'scale'
  readonly value: Value
  /** Axis of the classes. */
  readonly axis: number
}

/** A linear layer that makes logits. */
export interface LinearHead {
  /** What it reads, float32 (N, width). */
  readonly features: Value
  /** What is multiplied, added or scaled, each of which has an axis of classes. */
  readonly terms: readonly HeadTerm[]
}

/**
 * The linear layers at the end of a classifier: products of weights and one vector an image, with nothing behind them but
 * sums of several heads, what depends on no image (a bias, a scale) and changes of shape.
 *
 * @param logits float32 (N, classes), computed from `images`.
 * @returns undefined if the logits are made in another way.
 */
export function linearHeads(logits: Value, images: Value): LinearHead[] | undefined {
  const moving = movingFrom(images)
  const [count, classes] = logits.shape as [number, number]
  const heads: LinearHead[] = []
  const open: { at: Value; behind: readonly HeadTerm[] }[] = [{ at: logits, behind: [] }]
  const seen = new Set<Value>()
  for (let next = open.pop(); next; next = open.pop()) {
    const { at, behind } = next
    const { producer } = at
    if (!producer || seen.has(at) || seen.size > MOST_STEPS) return undefined
    seen.add(at)
    const { definition, attributes } = producer
    const inputs = producer.inputs.filter(input => input !== null)
    const from = inputs.filter(input => moving.has(input))
    if (products.has(definition.name)) {
      const [x, weights, bias] = inputs as [Value, Value, Value?]
      const width = x.shape.at(-1)!
      if (from.length !== 1 || from[0] !== x || attributes.transA) return undefined
      if (sizeOf(x.shape) !== count * width || weights.shape.length !== 2) return undefined
      const terms: HeadTerm[] = [{ role: 'weights', value: weights, axis: attributes.transB ? 0 : 1 }]
      if (bias) terms.push({ role: 'shift', value: bias, axis: bias.shape.length - 1 })
      heads.push({ features: reshape(x, [count, width]), terms: [...terms, ...behind] })
    } else if (reshapings.has(definition.name)) open.push({ at: inputs[0]!, behind })
    else if (elementwise.has(definition.name)) {
      if (definition.name === 'Div' && from[0] !== inputs[0]) return undefined
      if (from.length > 1 && definition.name !== 'Add') return undefined
      const others = inputs.filter(input => !moving.has(input))
      const terms = others.map(value => termOf(value, definition.name, classes))
      if (terms.includes('unknown')) return undefined
      const found = terms.filter(term => term !== null && term !== 'unknown')
      for (const value of from.toReversed()) open.push({ at: value, behind: [...found, ...behind] })
    } else return undefined
  }
  return heads
}

/** What the only linear layer at the end of a classifier reads, float32 (N, width); undefined if it does not end so. */
export function headInput(logits: Value, images: Value): Value | undefined {
  const heads = linearHeads(logits, images)
  return heads?.length === 1 ? heads[0]!.features : undefined
}

/** All values that depend on one, with itself. */
export function movingFrom(source: Value): Set<Value> {
  const moving = new Set([source])
  for (const { inputs, outputs } of source.graph.nodes)
    if (inputs.some(input => input && moving.has(input))) for (const output of outputs) moving.add(output)
  return moving
}

/** What an operand is to the classes: null if it is the same number for all of them. */
function termOf(value: Value, op: string, classes: number): HeadTerm | null | 'unknown' {
  const shifts = op === 'Add' || op === 'Sub'
  const axis = value.shape.lastIndexOf(classes)
  // A single number is a bias where there is a single class.
  if (sizeOf(value.shape) === 1 && !(shifts && axis >= 0)) return null
  return axis < 0 || sizeOf(value.shape) !== classes
    ? 'unknown'
    : { role: shifts ? 'shift' : 'scale', value, axis }
}
