import type { OpDefinition, Value } from '../graph/graph.js'
import { broadcast } from '../graph/shape.js'
import { sameShape } from '../graph/tensor.js'
import { defineOp, required } from './define-op.js'
import { mul } from './elementwise.js'

/**
 * Dropout (Srivastava et al. 2014) with the mask as an input, so that who feeds it decides the seed.
 * @param mask 1 where an element is kept and 0 where it is dropped; broadcasts to x.
 * @param ratio chance to be dropped, in [0, 1): what is kept is scaled by 1 / (1 − ratio).
 */
export function dropout(x: Value, mask: Value, ratio: number): Value {
  if (!sameShape(broadcast(x.shape, mask.shape) ?? [], x.shape))
    throw new RangeError(`the mask [${mask.shape.join(', ')}] does not broadcast to [${x.shape.join(', ')}]`)
  return mul(x, mul(mask, 1 / (1 - ratio)))
}

export const Dropout: OpDefinition = defineOp({
  name: 'Dropout',
  attributes: { seed: 'int' },
  requiredOutputs: 1,
  infer(inputs) {
    const x = required(inputs, 0)
    if (inputs[2] && (!inputs[2].data || Number(inputs[2].data[0]) !== 0))
      throw new Error('training_mode draws at random; use dropout() with a mask that is fed')
    return [
      { dtype: x.dtype, shape: x.shape },
      { dtype: 'bool', shape: x.shape },
    ]
  },
  gradient: ({ gradients: [dy] }) => [dy!],
  cases: [
    { name: 'in inference', inputs: [[2, 3]] },
    {
      name: 'with a ratio',
      inputs: [[2, 3]],
      build: (graph, [x]) => mul(graph.apply(Dropout, [x!, graph.constant('float32', [], [0.5])])[0]!, x!),
    },
    { name: 'by a mask', inputs: [[2, 3], [3]], build: (_, [x, mask]) => dropout(x!, mask!, 0.25) },
  ],
})

export const dropouts: readonly OpDefinition[] = [Dropout]
