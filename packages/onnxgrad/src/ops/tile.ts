import type { OpDefinition, Value } from '../graph/graph.js'
import { defineOp, integers, required, vector } from './define-op.js'
import { mul } from './elementwise.js'
import { concat } from './layout.js'
import { reduceSum } from './reduction.js'
import { reshape } from './reshaping.js'

/** Puts repeats[i] copies of x one after the other along axis i. */
export function tile(x: Value, repeats: readonly number[]): Value {
  return x.graph.apply(Tile, [x, vector(x, repeats)])[0]!
}

export const Tile: OpDefinition = defineOp({
  name: 'Tile',
  infer(inputs) {
    const x = required(inputs, 0)
    const repeats = integers(required(inputs, 1))
    if (repeats.length !== x.shape.length)
      throw new Error(`${repeats.length} repeats do not fit ${x.shape.length} axes`)
    return [{ dtype: x.dtype, shape: x.shape.map((dim, i) => dim * repeats[i]!) }]
  },
  gradient({ inputs: [x, repeats], gradients: [dy] }) {
    const copies = integers(repeats!)
    const apart = reshape(
      dy!,
      x!.shape.flatMap((dim, i) => [copies[i]!, dim]),
    )
    return [
      reduceSum(
        apart,
        copies.map((_, i) => 2 * i),
      ),
    ]
  },
  cases: [
    { name: 'both axes', inputs: [[2, 3]], build: (_, [x]) => tile(x!, [3, 2]) },
    { name: 'fan-out', inputs: [[2]], build: (_, [x]) => mul(tile(x!, [2]), concat([x!, x!], 0)) },
  ],
})
