import type { OpCase, OpDefinition, Value } from '../graph/graph.js'
import { axisOf } from '../graph/shape.js'
import { sameShape } from '../graph/tensor.js'
import { defineOp, int, required } from './define-op.js'
import { add, exp, mul, sub } from './elementwise.js'
import { linear, matmul } from './matrix-product.js'
import { reduceMean, reduceSum } from './reduction.js'

export function softmax(x: Value, axis = -1): Value {
  return x.graph.apply(Softmax, [x], { axis })[0]!
}

export function logSoftmax(x: Value, axis = -1): Value {
  return x.graph.apply(LogSoftmax, [x], { axis })[0]!
}

/**
 * The linear layers that follow a layer normalization: returns x, weight, bias ↦ linear(layerNorm(x), weight, bias)
 * for any number of layers. Scale and shift are folded into the (small) weights, so that neither the products nor
 * their gradients pass over the tokens; equal to the separate form up to rounding.
 *
 * @param x (…, width); scale and shift (width).
 */
export function normalizedLinear(x: Value, scale: Value, shift: Value, epsilon: number) {
  const { graph } = x
  const width = x.shape.at(-1)!
  const ones = graph.constant(x.dtype, [width], new Array(width).fill(1))
  const normalized = graph.apply(LayerNormalization, [x, ones], { axis: -1, epsilon })[0]!
  return (weight: Value, bias?: Value | null): Value => {
    const shifted = matmul(weight, shift)
    return linear(normalized, mul(weight, scale), bias ? add(shifted, bias) : shifted)
  }
}

/** Normalizes over the last axis to mean 0 and variance 1, then scales and shifts by vectors of its length. */
export function layerNorm(x: Value, scale: Value, shift: Value, epsilon: number): Value {
  return x.graph.apply(LayerNormalization, [x, scale, shift], { axis: -1, epsilon })[0]!
}

/** Cases of an operator that is given afterwards, as it is made of them. */
const softmaxCases = (definition: () => OpDefinition): OpCase[] => [
  { name: 'last axis', inputs: [[2, 3]], attributes: { axis: -1 } },
  { name: 'first axis', inputs: [[3, 2]], attributes: { axis: 0 } },
  { name: 'default axis', inputs: [[2, 2, 3]] },
  {
    name: 'fan-out',
    inputs: [[2, 3]],
    build: (graph, [x]) => mul(graph.apply(definition(), [x!])[0]!, x!),
  },
]

export const Softmax: OpDefinition = defineOp({
  name: 'Softmax',
  attributes: { axis: 'int' },
  infer: inputs => [{ dtype: required(inputs, 0).dtype, shape: required(inputs, 0).shape }],
  gradient({ outputs: [y], gradients: [dy], attributes }) {
    const weighted = mul(dy!, y!)
    return [sub(weighted, mul(y!, reduceSum(weighted, [int(attributes, 'axis', -1)], { keep: true })))]
  },
  cases: softmaxCases(() => Softmax),
})

export const LogSoftmax: OpDefinition = defineOp({
  name: 'LogSoftmax',
  attributes: { axis: 'int' },
  infer: inputs => [{ dtype: required(inputs, 0).dtype, shape: required(inputs, 0).shape }],
  gradient: ({ outputs: [y], gradients: [dy], attributes }) => [
    sub(dy!, mul(exp(y!), reduceSum(dy!, [int(attributes, 'axis', -1)], { keep: true }))),
  ],
  cases: softmaxCases(() => LogSoftmax),
})

export const LayerNormalization: OpDefinition = defineOp({
  name: 'LayerNormalization',
  attributes: { axis: 'int', epsilon: 'float', stash_type: 'int' },
  requiredOutputs: 1,
  infer(inputs, attributes) {
    const x = required(inputs, 0)
    const axis = axisOf(int(attributes, 'axis', -1), x.shape.length)
    const normalized = x.shape.slice(axis)
    for (const i of inputs[2] ? [1, 2] : [1]) {
      const shape = required(inputs, i).shape
      if (!sameShape(shape, normalized))
        throw new Error(`input ${i} must have shape [${normalized.join(', ')}], not [${shape.join(', ')}]`)
    }
    const statistic = { dtype: x.dtype, shape: x.shape.map((dim, i) => (i < axis ? dim : 1)) }
    return [{ dtype: x.dtype, shape: x.shape }, statistic, statistic]
  },
  gradient({ inputs: [x, scale, shift], outputs: [y, mean, inverse], gradients, attributes, wants }) {
    const dy = gradients[0]
    if (!dy || gradients[1] || gradients[2]) throw new Error('its statistics cannot be differentiated')
    const first = axisOf(int(attributes, 'axis', -1), x!.shape.length)
    const axes = x!.shape.flatMap((_, i) => (i < first ? [] : [i]))
    const average = (value: Value) => reduceMean(value, axes, { keep: true })
    // Without scale and shift the output itself is the normalized input: two passes over the tokens less.
    const plain = !shift && scale!.data?.every(factor => Number(factor) === 1)
    const normalized = plain ? y! : mul(sub(x!, mean!), inverse!)
    const weighted = plain ? dy : mul(dy, scale!)
    const along = average(mul(weighted, normalized))
    const centred = sub(sub(weighted, average(weighted)), mul(normalized, along))
    return [
      wants(0) ? mul(centred, inverse!) : null,
      wants(1) ? mul(dy, normalized) : null,
      shift ? dy : null,
    ]
  },
  cases: [
    { name: 'rows', inputs: [[3, 4], [4], [4]] },
    { name: 'three axes', inputs: [[2, 3, 4], [4], [4]], attributes: { axis: -1, epsilon: 1e-3 } },
    { name: 'no shift', inputs: [[3, 4], [4]] },
    {
      name: 'the last two axes',
      inputs: [
        [2, 3, 4],
        [3, 4],
        [3, 4],
      ],
      attributes: { axis: -2, epsilon: 1e-3 },
    },
    {
      name: 'neither scale nor shift',
      inputs: [[3, 4]],
      build: (graph, [x]) => {
        const ones = graph.constant(x!.dtype, [4], [1, 1, 1, 1])
        return graph.apply(LayerNormalization, [x!, ones], { epsilon: 1e-5 })[0]!
      },
    },
    {
      name: 'folded into the linear layer that follows',
      inputs: [[2, 3, 4], [4], [4], [5, 4], [5]],
      build: (_, [x, scale, shift, weight, bias]) =>
        normalizedLinear(x!, scale!, shift!, 1e-5)(weight!, bias!),
    },
  ],
})

export const normalizations: readonly OpDefinition[] = [Softmax, LogSoftmax, LayerNormalization]
