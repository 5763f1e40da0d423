import type { AttributeKind, GradientRule, Graph, OpDefinition, Value } from '../graph/graph.js'
import { cast } from './cast.js'
import { greater, greaterOrEqual, less } from './comparison.js'
import { defineOp, int, required } from './define-op.js'
import { add, exp, mul, sub } from './elementwise.js'
import { unary } from './operands.js'

function activation(
  name: string,
  gradient: GradientRule,
  range: readonly [number, number] = [-2, 2],
): OpDefinition {
  const definition: OpDefinition = defineOp({
    name,
    infer: inputs => [{ dtype: required(inputs, 0).dtype, shape: required(inputs, 0).shape }],
    gradient,
    cases: [
      { name: 'matrix', inputs: [[3, 4]], range },
      {
        name: 'fan-out',
        inputs: [[3]],
        range,
        build: (graph, [x]) => {
          const y = graph.apply(definition, [x!])[0]!
          return add(mul(y, x!), y)
        },
      },
    ],
  })
  return definition
}

/** An activation of straight or parabolic pieces; its cases lie on all of them, and clear of the kinks. */
function pieces(
  name: string,
  attributes: Readonly<Record<string, AttributeKind>>,
  gradient: GradientRule,
): OpDefinition {
  const build = (graph: Graph, [x]: readonly Value[]) => graph.apply(definition, [mul(x!, 4.1)])[0]!
  const definition: OpDefinition = defineOp({
    name,
    attributes,
    infer: inputs => [{ dtype: required(inputs, 0).dtype, shape: required(inputs, 0).shape }],
    gradient,
    cases: [
      { name: 'all pieces', inputs: [[4, 6]], distinct: true, build },
      {
        name: 'fan-out',
        inputs: [[3, 4]],
        distinct: true,
        build: (graph, inputs) => mul(build(graph, inputs), inputs[0]!),
      },
    ],
  })
  return definition
}

/** 1 where the comparison with a bound holds, else 0. */
const mask = (comparison: typeof greater, x: Value, bound: number): Value =>
  cast(comparison(x, bound), x.dtype)

export const Relu: OpDefinition = activation(
  'Relu',
  ({ outputs: [y], gradients: [dy] }) => [mul(dy!, mask(greater, y!, 0))],
  [0.2, 1],
)
export const Tanh: OpDefinition = activation('Tanh', ({ outputs: [y], gradients: [dy] }) => [
  mul(dy!, sub(1, mul(y!, y!))),
])
export const Sigmoid: OpDefinition = activation('Sigmoid', ({ outputs: [y], gradients: [dy] }) => [
  mul(dy!, mul(y!, sub(1, y!))),
])
export const Erf: OpDefinition = activation('Erf', ({ inputs: [x], gradients: [dy] }) => {
  const slope = exp(mul(mul(x!, x!), -1))
  return [mul(dy!, mul(slope, 2 / Math.sqrt(Math.PI)))]
})
// x·Φ(x); the slope is Φ(x) + x·φ(x) with the normal distribution Φ and density φ. Each line below is a pass over
// what is often the largest tensor of a model: with z = x/√2, twice the slope is 1 + erf(z) + x·exp(ln √(2/π) − z²).
export const Gelu: OpDefinition = activation('Gelu', ({ inputs: [x], gradients: [dy] }) => {
  const z = mul(x!, Math.SQRT1_2)
  const density = exp(sub(Math.log(2 / Math.PI) / 2, mul(z, z)))
  const slope = add(add(erf(z), mul(x!, density)), 1)
  return [mul(mul(dy!, 0.5), slope)]
})
export const HardSwish: OpDefinition = pieces('HardSwish', {}, ({ inputs: [x], gradients: [dy] }) => {
  const between = mul(mask(greater, x!, -3), mask(less, x!, 3))
  return [mul(dy!, add(mul(between, add(mul(x!, 1 / 3), 0.5)), mask(greaterOrEqual, x!, 3)))]
})
export const HardSigmoid: OpDefinition = pieces(
  'HardSigmoid',
  { alpha: 'float', beta: 'float' },
  ({ outputs: [y], gradients: [dy], attributes }) => {
    const between = mul(mask(greater, y!, 0), mask(less, y!, 1))
    return [mul(mul(dy!, between), int(attributes, 'alpha', 0.2))]
  },
)
export const LeakyRelu: OpDefinition = pieces(
  'LeakyRelu',
  { alpha: 'float' },
  ({ inputs: [x], gradients: [dy], attributes }) => {
    const alpha = int(attributes, 'alpha', 0.01)
    return [mul(dy!, add(mul(mask(greater, x!, 0), 1 - alpha), alpha))]
  },
)

export const relu = unary(Relu)
export const tanh = unary(Tanh)
export const sigmoid = unary(Sigmoid)
export const erf = unary(Erf)
/** x·Φ(x) with the normal distribution Φ, not its approximation by tanh (Hendrycks and Gimpel, arXiv 1606.08415). */
export const gelu = unary(Gelu)

export const activations: readonly OpDefinition[] = [
  Relu,
  Tanh,
  Sigmoid,
  Erf,
  Gelu,
  HardSwish,
  HardSigmoid,
  LeakyRelu,
]
