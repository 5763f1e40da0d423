import { Graph } from '../graph/graph.js'
import { toOnnx } from '../graph/to-onnx.js'
import { gemm } from '../ops/matrix-product.js'
import type { Runtime } from './session.js'

/**
 * What the machine reaches on a float32 product of two square matrices through this runtime: the median of several
 * runs after a warm-up, in GFLOP/s. It takes about a second; compare it only with figures of the same minute.
 */
export async function matrixThroughput(runtime: Runtime, side = 1024, runs = 7): Promise<number> {
  const graph = new Graph()
  const [a, b] = [graph.input('a', 'float32', [side, side]), graph.input('b', 'float32', [side, side])]
  const product = gemm(a, b)
  // One value leaves the graph, so that copying the result is not timed.
  graph.output(
    'corner',
    graph.apply('Slice', [product, ...[[0], [1], [0]].map(v => graph.constant('int64', [1], v))])[0]!,
  )
  const session = await runtime.load(toOnnx(graph, { name: 'matrix-throughput' }))
  try {
    const data = Float32Array.from({ length: side * side }, (_, i) => ((i * 31) % 17) / 17)
    const feeds = {
      a: { dtype: 'float32', shape: [side, side], data },
      b: { dtype: 'float32', shape: [side, side], data },
    } as const
    const times: number[] = []
    for (let i = 0; i < runs + 2; i++) {
      const start = performance.now()
      await session.run(feeds)
      if (i >= 2) times.push(performance.now() - start)
    }
    const median = times.sort((x, y) => x - y)[Math.floor(runs / 2)]!
    return (2 * side ** 3) / (median * 1e6)
  } finally {
    await session.release()
  }
}
