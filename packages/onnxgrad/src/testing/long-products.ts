import { Graph, type Value } from '../graph/graph.js'
import type { Feeds } from '../graph/tensor.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { slice } from '../ops/layout.js'
import { gemm } from '../ops/matrix-product.js'

const SIDE = 512

/**
 * A model of many matrix products in a row, which keeps the runtime busy at its run or, as all of it is constant,
 * at its loading.
 */
export function longProducts(products: number, busyAt: 'run' | 'load'): Uint8Array {
  const graph = new Graph()
  const data = ones()
  const start =
    busyAt === 'run'
      ? graph.input('x', 'float32', [SIDE, SIDE])
      : graph.initializer('x', 'float32', [SIDE, SIDE], data)
  let product: Value = start
  for (let i = 0; i < products; i++) product = gemm(product, start)
  graph.output('corner', slice(product, [0, 1], [0, 0], [1, 1]))
  return toOnnx(graph)
}

/** For a model that is busy at its run. `corner` is then 1/512, to the last bit. */
export const longProductsFeeds = (): Feeds => ({
  x: { dtype: 'float32', shape: [SIDE, SIDE], data: ones() },
})

/** Every entry one over the side: a matrix that is its own square. */
const ones = () => new Float32Array(SIDE * SIDE).fill(1 / SIDE)
