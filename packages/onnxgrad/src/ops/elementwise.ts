import { isFloat } from '../graph/dtype.js'
import type { GradientRule, OpCase, OpDefinition, Value } from '../graph/graph.js'
import { cast } from './cast.js'
import { and, equal, greaterOrEqual, lessOrEqual } from './comparison.js'
import { defineOp, required } from './define-op.js'
import { binary, broadcastAll, type Operand, pair, unary } from './operands.js'

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
    build: (graph, [x]) => graph.apply(definition, [x!, x!])[0]!,
  }
  const definition = defineOp({ name, infer: broadcastAll, gradient, cases: [...cases, twice] })
  return definition
}

function unaryOp(
  name: string,
  gradient: GradientRule | 'zero',
  range: readonly [number, number] = [-1, 1],
): OpDefinition {
  const cases: OpCase[] = [
    { name: 'matrix', inputs: [[2, 3]], range },
    { name: 'scalar', inputs: [[]], range },
    {
      name: 'fan-out',
      inputs: [[2, 3]],
      range,
      build: (graph, [x]) => {
        const y = graph.apply(definition, [x!])[0]!
        return add(mul(y, y), add(y, x!))
      },
    },
  ]
  const definition = defineOp({
    name,
    infer: inputs => [{ dtype: required(inputs, 0).dtype, shape: required(inputs, 0).shape }],
    gradient,
    cases: gradient === 'zero' ? [] : cases,
  })
  return definition
}

/** Of the operands of Min or Max, the mask of the elements where operand i won; ties share the gradient. */
function winners(inputs: readonly (Value | null)[], y: Value, dy: Value): Value[] {
  const won = inputs.map(x => cast(equal(x!, y), dy.dtype))
  const share = div(dy, won.reduce(add))
  return won.map(mask => mul(mask, share))
}

const chooser = (name: string): OpDefinition =>
  defineOp({
    name,
    infer: broadcastAll,
    gradient: ({ inputs, outputs, gradients }) => winners(inputs, outputs[0]!, gradients[0]!),
    cases: [...apart(shapes), { name: 'three operands', inputs: [[2, 3], [3], [2, 1]], distinct: true }],
  })

export const Add: OpDefinition = binaryOp('Add', ({ gradients: [dy] }) => [dy!, dy!])
export const Sub: OpDefinition = binaryOp('Sub', ({ gradients: [dy], wants }) => [
  dy!,
  wants(1) ? neg(dy!) : null,
])
export const Mul: OpDefinition = binaryOp('Mul', ({ inputs: [a, b], gradients: [dy], wants }) => [
  wants(0) ? mul(dy!, b!) : null,
  wants(1) ? mul(dy!, a!) : null,
])
export const Div: OpDefinition = binaryOp(
  'Div',
  ({ inputs: [, b], outputs: [y], gradients: [dy], wants }) => {
    const da = div(dy!, b!)
    return [da, wants(1) ? neg(mul(da, y!)) : null]
  },
  positive(shapes),
)
export const Pow: OpDefinition = binaryOp(
  'Pow',
  ({ inputs: [a, b], outputs: [y], gradients: [dy], wants }) => [
    wants(0) ? mul(dy!, mul(b!, pow(a!, sub(b!, 1)))) : null,
    wants(1) ? mul(dy!, mul(y!, log(a!))) : null,
  ],
  positive(shapes),
)
export const Min = chooser('Min')
export const Max = chooser('Max')
export const Neg: OpDefinition = unaryOp('Neg', ({ gradients: [dy] }) => [neg(dy!)])
export const Identity: OpDefinition = unaryOp('Identity', ({ gradients: [dy] }) => [dy!])
export const Sqrt: OpDefinition = unaryOp(
  'Sqrt',
  ({ outputs: [y], gradients: [dy] }) => [div(mul(dy!, 0.5), y!)],
  [0.5, 2],
)
export const Exp: OpDefinition = unaryOp('Exp', ({ outputs: [y], gradients: [dy] }) => [mul(dy!, y!)])
export const Log: OpDefinition = unaryOp(
  'Log',
  ({ inputs: [x], gradients: [dy] }) => [div(dy!, x!)],
  [0.5, 2],
)
export const Reciprocal: OpDefinition = unaryOp(
  'Reciprocal',
  ({ outputs: [y], gradients: [dy] }) => [neg(mul(dy!, mul(y!, y!)))],
  [0.5, 2],
)
export const Abs: OpDefinition = unaryOp(
  'Abs',
  ({ inputs: [x], gradients: [dy] }) => [mul(dy!, sign(x!))],
  [0.2, 1],
)
export const Sign = unaryOp('Sign', 'zero')
export const Round = unaryOp('Round', 'zero')
export const Floor = unaryOp('Floor', 'zero')
export const Ceil = unaryOp('Ceil', 'zero')
export const Sin: OpDefinition = unaryOp('Sin', ({ inputs: [x], gradients: [dy] }) => [mul(dy!, cos(x!))])
export const Cos: OpDefinition = unaryOp('Cos', ({ inputs: [x], gradients: [dy] }) => [
  neg(mul(dy!, sin(x!))),
])

export const Mod: OpDefinition = defineOp({
  name: 'Mod',
  attributes: { fmod: 'int' },
  infer: broadcastAll,
  // a − b·n with a whole number n of the sign that the operator chose.
  gradient: ({ inputs: [a, b], outputs: [y], gradients: [dy], wants }) => [
    dy!,
    wants(1) ? neg(mul(dy!, round(div(sub(a!, y!), b!)))) : null,
  ],
  cases: [
    {
      name: 'of floats, of both signs',
      inputs: [[2, 3], []],
      range: [-1, 1],
      build: (_, [a, b]) => mod(mul(a!, 5), b!),
    },
    { name: 'row broadcast', inputs: [[2, 3], [3]], range: [0.5, 2], build: (_, [a, b]) => mod(a!, b!) },
  ],
})

export const Clip: OpDefinition = defineOp({
  name: 'Clip',
  infer: inputs => [{ dtype: required(inputs, 0).dtype, shape: required(inputs, 0).shape }],
  gradient({ inputs: [x, low, high], gradients: [dy] }) {
    const inside = and(greaterOrEqual(x!, low!), lessOrEqual(x!, high!))
    return [mul(dy!, cast(inside, dy!.dtype))]
  },
  cases: [
    // Multiples of 1/10 offset by 1/20 never touch the bounds.
    { name: 'some clipped', inputs: [[3, 4]], distinct: true, build: (_, [x]) => clip(x!, -0.3, 0.4) },
  ],
})

/** Element-wise, broadcasting. */
export const add = binary(Add)
export const sub = binary(Sub)
export const mul = binary(Mul)
export const div = binary(Div)
export const pow = binary(Pow)
export const neg = unary(Neg)
export const sqrt = unary(Sqrt)
export const exp = unary(Exp)
export const log = unary(Log)
export const abs = unary(Abs)
export const sign = unary(Sign)
export const sin = unary(Sin)
export const cos = unary(Cos)
export const floor = unary(Floor)
export const ceil = unary(Ceil)
/** Rounds halves to even. */
export const round = unary(Round)
export const identity = unary(Identity)
export const reciprocal = unary(Reciprocal)
/** The smaller (larger) of each element of all operands, broadcasting. */
export const min = (...values: Value[]): Value => values[0]!.graph.apply(Min, values)[0]!
export const max = (...values: Value[]): Value => values[0]!.graph.apply(Max, values)[0]!

/** What is left of a / b, with the sign of a (float types) or of b (integers). */
export function mod(a: Value, b: Operand): Value {
  return a.graph.apply(Mod, pair(a, b), { fmod: isFloat(a.dtype) ? 1 : 0 })[0]!
}

/** Values moved into [low, high]. */
export function clip(x: Value, low: number, high: number): Value {
  const bound = (value: number) => x.graph.constant(x.dtype, [], [value])
  return x.graph.apply(Clip, [x, bound(low), bound(high)])[0]!
}

export const elementwise: readonly OpDefinition[] = [
  Add,
  Sub,
  Mul,
  Div,
  Pow,
  Min,
  Max,
  Neg,
  Identity,
  Sqrt,
  Exp,
  Log,
  Reciprocal,
  Abs,
  Sign,
  Round,
  Floor,
  Ceil,
  Sin,
  Cos,
  Mod,
  Clip,
]
