import { broadcast } from '../graph/shape.js'
import { type DType, isFloat, showType, type Value } from '../graph/types.js'
import {
  type AttributeKind,
  defineOp,
  type GradientRule,
  type OpCase,
  type OpDefinition,
  required,
} from './define-op.js'

/** A value, or a number that becomes a scalar constant of the other operand's type. */
export type Operand = Value | number

function pair(a: Operand, b: Operand): [Value, Value] {
  if (typeof a !== 'number') return [a, typeof b === 'number' ? a.graph.constant(a.dtype, [], [b]) : b]
  if (typeof b !== 'number') return [b.graph.constant(b.dtype, [], [a]), b]
  throw new Error('one operand must be a value of a graph')
}

const binary =
  (op: string) =>
  (a: Operand, b: Operand): Value => {
    const [x, y] = pair(a, b)
    return x.graph.apply(op, [x, y])[0]!
  }
const unary =
  (op: string) =>
  (x: Value): Value =>
    x.graph.apply(op, [x])[0]!

/** Element-wise, broadcasting. */
export const add = binary('Add')
export const sub = binary('Sub')
export const mul = binary('Mul')
export const div = binary('Div')
export const pow = binary('Pow')
export const neg = unary('Neg')
export const sqrt = unary('Sqrt')
export const exp = unary('Exp')
export const log = unary('Log')
export const abs = unary('Abs')
export const sign = unary('Sign')
export const sin = unary('Sin')
export const cos = unary('Cos')
export const floor = unary('Floor')
export const ceil = unary('Ceil')
export const erf = unary('Erf')
export const tanh = unary('Tanh')
export const sigmoid = unary('Sigmoid')
export const relu = unary('Relu')
/** Rounds halves to even. */
export const round = unary('Round')
export const identity = unary('Identity')
export const reciprocal = unary('Reciprocal')
/** The smaller (larger) of each element of all operands, broadcasting. */
export const min = (...values: Value[]): Value => values[0]!.graph.apply('Min', values)[0]!
export const max = (...values: Value[]): Value => values[0]!.graph.apply('Max', values)[0]!

/** What is left of a / b, with the sign of a (float types) or of b (integers). */
export function mod(a: Value, b: Operand): Value {
  return a.graph.apply('Mod', pair(a, b), { fmod: isFloat(a.dtype) ? 1 : 0 })[0]!
}

/** Values moved into [low, high]. */
export function clip(x: Value, low: number, high: number): Value {
  const bound = (value: number) => x.graph.constant(x.dtype, [], [value])
  return x.graph.apply('Clip', [x, bound(low), bound(high)])[0]!
}

const onnxTypes: Record<DType, number> = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float64: 11 }

/** Converts to another element type. */
export function cast(x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : x.graph.apply('Cast', [x], { to: onnxTypes[dtype] })[0]!
}

function broadcastAll(inputs: readonly (Value | null)[]) {
  const [first, ...others] = inputs as Value[]
  if (!first) throw new Error('at least one input is needed')
  let shape = first.shape
  for (const other of others) {
    if (other.dtype !== first.dtype) throw new Error(`types differ: ${first.dtype} and ${other.dtype}`)
    const joint = broadcast(shape, other.shape)
    if (!joint)
      throw new Error(`shapes [${shape.join(', ')}] and [${other.shape.join(', ')}] do not broadcast`)
    shape = joint
  }
  return [{ dtype: first.dtype, shape }]
}

const shapes: OpCase[] = [
  {
    name: 'same shape',
    inputs: [
      [2, 3],
      [2, 3],
    ],
  },
  { name: 'row broadcast', inputs: [[2, 3], [3]] },
  {
    name: 'column broadcast',
    inputs: [
      [2, 1],
      [2, 3],
    ],
  },
  { name: 'scalar', inputs: [[], [2, 3]] },
  {
    name: 'both broadcast',
    inputs: [
      [4, 1, 3],
      [2, 1],
    ],
  },
]
const positive = (cases: OpCase[]) => cases.map(c => ({ ...c, range: [0.5, 2] as const }))
const apart = (cases: OpCase[]) => cases.map(c => ({ ...c, distinct: true }))

function binaryOp(name: string, gradient: GradientRule, cases = shapes): OpDefinition {
  const twice: OpCase = {
    ...cases[0]!,
    name: 'one value as both inputs',
    inputs: [[2, 3]],
    build: (graph, [x]) => graph.apply(name, [x!, x!])[0]!,
  }
  return defineOp({
    name,
    infer: broadcastAll,
    gradient,
    cases: name === 'Min' || name === 'Max' ? cases : [...cases, twice],
  })
}

function unaryOp(
  name: string,
  gradient: GradientRule | 'zero',
  options: { range?: [number, number]; attributes?: Record<string, AttributeKind>; cases?: OpCase[] } = {},
): OpDefinition {
  const range = options.range ?? ([-1, 1] as const)
  return defineOp({
    name,
    attributes: options.attributes ?? {},
    infer: inputs => [{ dtype: required(inputs, 0).dtype, shape: required(inputs, 0).shape }],
    gradient,
    cases:
      options.cases ??
      (gradient === 'zero'
        ? []
        : [
            { name: 'matrix', inputs: [[2, 3]], range },
            { name: 'scalar', inputs: [[]], range },
            {
              name: 'fan-out',
              inputs: [[2, 3]],
              range,
              build: (graph, [x]) => {
                const y = graph.apply(name, [x!])[0]!
                return add(mul(y, y), add(y, x!))
              },
            },
          ]),
  })
}

/** Of the operands of Min or Max, the mask of the elements where operand i won; ties share the gradient. */
function winners(inputs: readonly (Value | null)[], y: Value, dy: Value): Value[] {
  const won = inputs.map(x => cast(y.graph.apply('Equal', [x!, y])[0]!, dy.dtype))
  const share = div(dy, won.reduce(add))
  return won.map(mask => mul(mask, share))
}

const chooser = (name: string): OpDefinition =>
  binaryOp(name, ({ inputs, outputs, gradients }) => winners(inputs, outputs[0]!, gradients[0]!), [
    ...apart(shapes),
    { name: 'three operands', inputs: [[2, 3], [3], [2, 1]], distinct: true },
  ])

export const elementwise: OpDefinition[] = [
  binaryOp('Add', ({ gradients: [dy] }) => [dy!, dy!]),
  binaryOp('Sub', ({ gradients: [dy], wants }) => [dy!, wants(1) ? neg(dy!) : null]),
  binaryOp('Mul', ({ inputs: [a, b], gradients: [dy], wants }) => [
    wants(0) ? mul(dy!, b!) : null,
    wants(1) ? mul(dy!, a!) : null,
  ]),
  binaryOp(
    'Div',
    ({ inputs: [, b], outputs: [y], gradients: [dy], wants }) => {
      const da = div(dy!, b!)
      return [da, wants(1) ? neg(mul(da, y!)) : null]
    },
    positive(shapes),
  ),
  binaryOp(
    'Pow',
    ({ inputs: [a, b], outputs: [y], gradients: [dy], wants }) => [
      wants(0) ? mul(dy!, mul(b!, pow(a!, sub(b!, 1)))) : null,
      wants(1) ? mul(dy!, mul(y!, log(a!))) : null,
    ],
    positive(shapes),
  ),
  chooser('Min'),
  chooser('Max'),
  unaryOp('Neg', ({ gradients: [dy] }) => [neg(dy!)]),
  unaryOp('Identity', ({ gradients: [dy] }) => [dy!]),
  unaryOp('Sqrt', ({ outputs: [y], gradients: [dy] }) => [div(mul(dy!, 0.5), y!)], { range: [0.5, 2] }),
  unaryOp('Exp', ({ outputs: [y], gradients: [dy] }) => [mul(dy!, y!)]),
  unaryOp('Log', ({ inputs: [x], gradients: [dy] }) => [div(dy!, x!)], { range: [0.5, 2] }),
  unaryOp('Reciprocal', ({ outputs: [y], gradients: [dy] }) => [neg(mul(dy!, mul(y!, y!)))], {
    range: [0.5, 2],
  }),
  unaryOp('Abs', ({ inputs: [x], gradients: [dy] }) => [mul(dy!, sign(x!))], { range: [0.2, 1] }),
  unaryOp('Sign', 'zero'),
  unaryOp('Round', 'zero'),
  unaryOp('Floor', 'zero'),
  unaryOp('Ceil', 'zero'),
  unaryOp('Sin', ({ inputs: [x], gradients: [dy] }) => [mul(dy!, cos(x!))]),
  unaryOp('Cos', ({ inputs: [x], gradients: [dy] }) => [neg(mul(dy!, sin(x!)))]),
  // a − b·n with a whole number n of the sign that the operator chose.
  {
    ...binaryOp('Mod', ({ inputs: [a, b], outputs: [y], gradients: [dy], wants }) => [
      dy!,
      wants(1) ? neg(mul(dy!, round(div(sub(a!, y!), b!)))) : null,
    ]),
    attributes: { fmod: 'int' },
    cases: [
      {
        name: 'of floats, of both signs',
        inputs: [[2, 3], []],
        range: [-1, 1],
        build: (_, [a, b]) => mod(mul(a!, 5), b!),
      },
      { name: 'row broadcast', inputs: [[2, 3], [3]], range: [0.5, 2], build: (_, [a, b]) => mod(a!, b!) },
    ],
  },
  defineOp({
    name: 'Clip',
    infer: inputs => [{ dtype: required(inputs, 0).dtype, shape: required(inputs, 0).shape }],
    gradient: ({ graph, inputs: [x, low, high], gradients: [dy] }) => {
      const inside = graph.apply('And', [
        graph.apply('GreaterOrEqual', [x!, low!])[0]!,
        graph.apply('LessOrEqual', [x!, high!])[0]!,
      ])[0]!
      return [mul(dy!, cast(inside, dy!.dtype))]
    },
    cases: [
      // Multiples of 1/10 offset by 1/20 never touch the bounds.
      { name: 'some clipped', inputs: [[3, 4]], distinct: true, build: (_, [x]) => clip(x!, -0.3, 0.4) },
    ],
  }),
  defineOp({
    name: 'Cast',
    attributes: { to: 'int' },
    infer(inputs, { to }) {
      const dtype = (Object.keys(onnxTypes) as DType[]).find(type => onnxTypes[type] === to)
      if (!dtype) throw new Error(`type number ${to} is not one that can be cast to`)
      return [{ dtype, shape: required(inputs, 0).shape }]
    },
    gradient: ({ inputs: [x], gradients: [dy] }) => [isFloat(x!.dtype) ? cast(dy!, x!.dtype) : null],
    cases: [
      {
        name: 'to float64 and back',
        inputs: [[2, 3]],
        dtype: 'float32',
        build: (_, [x]) => cast(cast(x!, 'float64'), 'float32'),
      },
    ],
  }),
  defineOp({
    name: 'Where',
    infer(inputs) {
      const condition = required(inputs, 0)
      if (condition.dtype !== 'bool')
        throw new Error(`the condition must be bool, not ${showType(condition)}`)
      const [type] = broadcastAll(inputs.slice(1))
      const shape = broadcast(condition.shape, type!.shape)
      if (!shape) throw new Error('the condition does not broadcast with the operands')
      return [{ dtype: type!.dtype, shape }]
    },
    gradient: ({ graph, inputs: [condition], gradients: [dy] }) => {
      const zero = graph.constant(dy!.dtype, [], [0])
      return [null, where(condition!, dy!, zero), where(condition!, zero, dy!)]
    },
    cases: [
      {
        name: 'chosen by a comparison, broadcast',
        inputs: [[2, 3], [3]],
        distinct: true,
        build: (graph, [a, b]) => where(graph.apply('Greater', [a!, b!])[0]!, a!, b!),
      },
    ],
  }),
]

/** `a` where the condition holds, else `b`; broadcasting. */
export function where(condition: Value, a: Value, b: Value): Value {
  return condition.graph.apply('Where', [condition, a, b])[0]!
}
