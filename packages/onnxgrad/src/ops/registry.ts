import type { OpDefinition } from '../graph/graph.js'
import { activations } from './activation.js'
import { batchNormalizations } from './batch-normalization.js'
import { Cast } from './cast.js'
import { comparisons } from './comparison.js'
import { convolutions } from './convolution.js'
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
import { Tile } from './tile.js'
import { Where } from './where.js'

/** Every operator, by family. */
export const operators: readonly OpDefinition[] = [
  ...elementwise,
  Cast,
  Where,
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
  Tile,
  ...indexings,
  ...selections,
  ...resizings,
]

const byName = new Map(operators.map(definition => [definition.name, definition]))

/** The definition of an operator by its ONNX name (see `OpDefinition.name`), or undefined. */
export function opFor(name: string): OpDefinition | undefined {
  return byName.get(name)
}
