import type { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'
import {
  type AttributeKind,
  defineOp,
  type GradientRule,
  int,
  type OpDefinition,
  required,
} from './define-op.js'
import { add, cast, erf, exp, mul, sub } from './elementwise.js'

const activation = (
  name: string,
  gradient: GradientRule,
  range: readonly [number, number] = [-2, 2],
): OpDefinition =>
  defineOp({
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
          const y = graph.apply(name, [x!])[0]!
          return add(mul(y, x!), y)
        },
      },
    ],
  })

export const activations: OpDefinition[] = [
  activation(
    'Relu',
    ({ graph, outputs: [y], gradients: [dy] }) => [
      mul(dy!, cast(graph.apply('Greater', [y!, graph.constant(y!.dtype, [], [0])])[0]!, dy!.dtype)),
    ],
    [0.2, 1],
  ),
  activation('Tanh', ({ outputs: [y], gradients: [dy] }) => [mul(dy!, sub(1, mul(y!, y!)))]),
  activation('Sigmoid', ({ outputs: [y], gradients: [dy] }) => [mul(dy!, mul(y!, sub(1, y!)))]),
  activation('Erf', ({ inputs: [x], gradients: [dy] }) => {
    const slope = exp(mul(mul(x!, x!), -1))
    return [mul(dy!, mul(slope, 2 / Math.sqrt(Math.PI)))]
  }),
  // x·Φ(x); the slope is Φ(x) + x·φ(x) with the normal distribution Φ and density φ. Each line below is a pass over
  // what is often the largest tensor of a model: with z = x/√2, twice the slope is 1 + erf(z) + x·exp(ln √(2/π) − z²).
  activation('Gelu', ({ inputs: [x], gradients: [dy] }) => {
    const z = mul(x!, Math.SQRT1_2)
    const density = exp(sub(Math.log(2 / Math.PI) / 2, mul(z, z)))
    const slope = add(add(erf(z), mul(x!, density)), 1)
    return [mul(mul(dy!, 0.5), slope)]
  }),
  pieces('HardSwish', {}, ({ inputs: [x], gradients: [dy] }) => {
    const between = mul(mask('Greater', x!, -3), mask('Less', x!, 3))
    return [mul(dy!, add(mul(between, add(mul(x!, 1 / 3), 0.5)), mask('GreaterOrEqual', x!, 3)))]
  }),
  pieces(
    'HardSigmoid',
    { alpha: 'float', beta: 'float' },
    ({ outputs: [y], gradients: [dy], attributes }) => {
      const between = mul(mask('Greater', y!, 0), mask('Less', y!, 1))
      return [mul(mul(dy!, between), int(attributes, 'alpha', 0.2))]
    },
  ),
  pieces('LeakyRelu', { alpha: 'float' }, ({ inputs: [x], gradients: [dy], attributes }) => {
    const alpha = int(attributes, 'alpha', 0.01)
    return [mul(dy!, add(mul(mask('Greater', x!, 0), 1 - alpha), alpha))]
  }),
]

/** 1 where the comparison with a bound holds, else 0. */
function mask(comparison: string, x: Value, bound: number): Value {
  return cast(x.graph.apply(comparison, [x, x.graph.constant(x.dtype, [], [bound])])[0]!, x.dtype)
}

/** An activation of straight or parabolic pieces; its cases lie on all of them, and clear of the kinks. */
function pieces(
  name: string,
  attributes: Readonly<Record<string, AttributeKind>>,
  gradient: GradientRule,
): OpDefinition {
  const build = (graph: Graph, [x]: readonly Value[]) => graph.apply(name, [mul(x!, 4.1)])[0]!
  return defineOp({
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
}
