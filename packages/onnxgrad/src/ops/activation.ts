import { defineOp, type GradientRule, type OpDefinition, required } from './define-op.js'
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
]
