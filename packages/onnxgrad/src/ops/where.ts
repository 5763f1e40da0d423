import type { OpDefinition, Value } from '../graph/graph.js'
import { broadcast } from '../graph/shape.js'
import { showType } from '../graph/tensor.js'
import { greater } from './comparison.js'
import { defineOp, required } from './define-op.js'
import { broadcastAll } from './operands.js'

/** `a` where the condition holds, else `b`; broadcasting. */
export function where(condition: Value, a: Value, b: Value): Value {
  return condition.graph.apply(Where, [condition, a, b])[0]!
}

export const Where: OpDefinition = defineOp({
  name: 'Where',
  infer(inputs) {
    const condition = required(inputs, 0)
    if (condition.dtype !== 'bool') throw new Error(`the condition must be bool, not ${showType(condition)}`)
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
      build: (_, [a, b]) => where(greater(a!, b!), a!, b!),
    },
  ],
})
