import { InputError } from '../errors.js'
import type { Attributes, OpCase, OpDefinition, Value } from '../graph/graph.js'
import { sizeOf } from '../graph/tensor.js'
import { defineOp, int, required } from './define-op.js'
import { add, div, mul, neg, sqrt, sub } from './elementwise.js'
import { reduceMean, reduceSum } from './reduction.js'
import { reshape } from './reshaping.js'

export interface BatchNormOptions {
  /** Normalize by the batch's own statistics and move the running ones. Default false: by the running ones. */
  readonly training?: boolean
  /** Share of the running statistics kept, as ONNX has it (PyTorch's is 1 minus this). Default 0.9. */
  readonly momentum?: number
  /** Default 1e-5. */
  readonly epsilon?: number
}

/**
 * Batch normalization (Ioffe and Szegedy 2015) of (N, C, …) by vectors of length C, as PyTorch has it: a batch is
 * normalized by its population variance, and what joins the running variance is the unbiased one. ONNX's operator
 * has only the former, and no kernel for training on WebGPU: so training is plain operators.
 *
 * @returns the normalized values and the running mean and variance: in training, as they are after this batch.
 * @throws InputError in training, if there is but one value a channel.
 */
export function batchNorm(
  x: Value,
  parameters: { scale: Value; shift: Value; mean: Value; variance: Value },
  { training = false, momentum = 0.9, epsilon = 1e-5 }: BatchNormOptions = {},
): { y: Value; mean: Value; variance: Value } {
  const { scale, shift, mean, variance } = parameters
  if (!training) {
    const inputs = [x, scale, shift, mean, variance]
    return { y: x.graph.apply(BatchNormalization, inputs, { epsilon })[0]!, mean, variance }
  }
  const axes = others(x)
  const count = sizeOf(axes.map(axis => x.shape[axis]!))
  if (count < 2)
    throw new InputError(
      'batch normalization cannot learn from one value a channel: use larger batches, fewer micro-batches or larger images',
    )
  const batchMean = reduceMean(x, axes, { keep: true })
  const centred = sub(x, batchMean)
  const squares = reduceSum(mul(centred, centred), axes)
  const factor = div(scale, sqrt(add(mul(squares, 1 / count), epsilon)))
  const moved = (running: Value, batch: Value) => add(mul(running, momentum), mul(batch, 1 - momentum))
  return {
    y: add(mul(centred, perChannel(factor, x)), perChannel(shift, x)),
    mean: moved(mean, reshape(batchMean, mean.shape)),
    variance: moved(variance, mul(squares, 1 / (count - 1))),
  }
}

/** All axes but that of the channels. */
const others = (x: Value) => x.shape.flatMap((_, i) => (i === 1 ? [] : [i]))
const perChannel = (vector: Value, x: Value) =>
  reshape(
    vector,
    x.shape.map((dim, i) => (i === 1 ? dim : 1)),
  )

function assertVectors(inputs: readonly (Value | null)[], count: number): Value {
  const x = required(inputs, 0)
  if (x.shape.length < 2) throw new Error('the input must have a batch and a channel axis')
  for (let i = 1; i < count; i++) {
    const { shape } = required(inputs, i)
    if (shape.length !== 1 || shape[0] !== x.shape[1])
      throw new Error(`input ${i} must have shape [${x.shape[1]}], not [${shape.join(', ')}]`)
  }
  return x
}

/** Gradient at what was normalized by its own mean and variance over `axes`. */
function throughStatistics(
  normalized: Value,
  inverse: Value,
  weighted: Value,
  axes: readonly number[],
): Value {
  const average = (value: Value) => reduceMean(value, axes, { keep: true })
  const along = mul(normalized, average(mul(weighted, normalized)))
  return mul(sub(sub(weighted, average(weighted)), along), inverse)
}

/** The values less their mean over the axes, and 1 / √(variance + ε). */
function statistics(x: Value, axes: readonly number[], attributes: Attributes) {
  const centred = sub(x, reduceMean(x, axes, { keep: true }))
  const variance = reduceMean(mul(centred, centred), axes, { keep: true })
  const inverse = div(1, sqrt(add(variance, int(attributes, 'epsilon', 1e-5))))
  return { inverse, normalized: mul(centred, inverse) }
}

/** A case whose variance is the square of a drawn value plus one half. */
const batchCase = (name: string, shape: number[], attributes: Attributes): OpCase => {
  const vector = [shape[1]!]
  return {
    name,
    inputs: [shape, vector, vector, vector, vector],
    build: (graph, [x, scale, shift, mean, spread]) => {
      const variance = add(mul(spread!, spread!), 0.5)
      return graph.apply(BatchNormalization, [x!, scale!, shift!, mean!, variance], attributes)[0]!
    },
  }
}

export const BatchNormalization: OpDefinition = defineOp({
  name: 'BatchNormalization',
  attributes: { epsilon: 'float', momentum: 'float', training_mode: 'int' },
  requiredOutputs: attributes => (int(attributes, 'training_mode', 0) === 1 ? 3 : 1),
  infer(inputs, attributes) {
    const x = assertVectors(inputs, 5)
    const whole = { dtype: x.dtype, shape: x.shape }
    const vector = { dtype: x.dtype, shape: [x.shape[1]!] }
    return int(attributes, 'training_mode', 0) === 1 ? [whole, vector, vector] : [whole]
  },
  gradient({ inputs, gradients: [dy, ...running], attributes, wants }) {
    const [x, scale, , mean, variance] = inputs as Value[]
    const axes = others(x!)
    if (running.some(Boolean)) throw new Error('the running statistics cannot be differentiated')
    const weighted = mul(dy!, perChannel(scale!, x!))
    if (int(attributes, 'training_mode', 0) === 1) {
      const { inverse, normalized } = statistics(x!, axes, attributes)
      return [
        wants(0) ? throughStatistics(normalized, inverse, weighted, axes) : null,
        wants(1) ? reduceSum(mul(dy!, normalized), axes) : null,
        wants(2) ? reduceSum(dy!, axes) : null,
        null,
        null,
      ]
    }
    const centred = sub(x!, perChannel(mean!, x!))
    const inverse = div(1, sqrt(add(variance!, int(attributes, 'epsilon', 1e-5))))
    const across = perChannel(inverse, x!)
    const cubed = mul(mul(inverse, inverse), inverse)
    return [
      wants(0) ? mul(weighted, across) : null,
      wants(1) ? mul(reduceSum(mul(dy!, centred), axes), inverse) : null,
      wants(2) ? reduceSum(dy!, axes) : null,
      wants(3) ? neg(mul(reduceSum(weighted, axes), inverse)) : null,
      wants(4) ? mul(reduceSum(mul(weighted, centred), axes), mul(cubed, -0.5)) : null,
    ]
  },
  cases: [
    batchCase('inference', [2, 3, 2, 2], {}),
    batchCase('inference without space', [3, 2], { epsilon: 1e-2 }),
    batchCase('training', [2, 3, 2, 3], { training_mode: 1 }),
    batchCase('training without space', [4, 2], { training_mode: 1, epsilon: 1e-3 }),
  ],
})

export const InstanceNormalization: OpDefinition = defineOp({
  name: 'InstanceNormalization',
  attributes: { epsilon: 'float' },
  infer(inputs) {
    const x = assertVectors(inputs, 3)
    if (x.shape.length < 3) throw new Error('there are no axes to normalize over')
    return [{ dtype: x.dtype, shape: x.shape }]
  },
  gradient({ inputs, gradients: [dy], attributes, wants }) {
    const [x, scale] = inputs as Value[]
    const axes = others(x!).slice(1)
    const { inverse, normalized } = statistics(x!, axes, attributes)
    const weighted = mul(dy!, perChannel(scale!, x!))
    return [
      wants(0) ? throughStatistics(normalized, inverse, weighted, axes) : null,
      wants(1) ? reduceSum(mul(dy!, normalized), others(x!)) : null,
      wants(2) ? reduceSum(dy!, others(x!)) : null,
    ]
  },
  cases: [
    { name: 'images', inputs: [[2, 3, 2, 3], [3], [3]] },
    { name: 'sequences', inputs: [[2, 2, 4], [2], [2]], attributes: { epsilon: 1e-2 } },
  ],
})

export const batchNormalizations: readonly OpDefinition[] = [BatchNormalization, InstanceNormalization]
