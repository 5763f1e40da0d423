import { activations } from './activation.js'
import { batchNormalizations } from './batch-normalization.js'
import { comparisons } from './comparison.js'
import { convolutions } from './convolution.js'
import type { OpDefinition } from './define-op.js'
import { dropouts } from './dropout.js'
import { einsums } from './einsum.js'
import { elementwise } from './elementwise.js'
import { indexings } from './indexing.js'
import { layout } from './layout.js'
import { losses } from './loss.js'
import { matrixProducts } from './matrix-product.js'
import { normalizations } from './normalization.js'
import { poolings } from './pooling.js'
import { reductions } from './reduction.js'
import { reshapings } from './reshaping.js'
import { resizings } from './resize.js'
import { selections } from './selection.js'

/** Every operator, by family. */
export const operators: readonly OpDefinition[] = [
  ...elementwise,
  ...activations,
  ...comparisons,
  ...matrixProducts,
  ...einsums,
  ...convolutions,
  ...poolings,
  ...normalizations,
  ...batchNormalizations,
  ...dropouts,
  ...losses,
  ...reductions,
  ...reshapings,
  ...layout,
  ...indexings,
  ...selections,
  ...resizings,
]

let byName: Map<string, OpDefinition> | undefined

/** The definition of an operator, or undefined. */
export function opFor(name: string): OpDefinition | undefined {
  // Built at the first call: the families import the graph, which imports this file.
  byName ??= new Map(operators.map(definition => [definition.name, definition]))
  return byName.get(name)
}
