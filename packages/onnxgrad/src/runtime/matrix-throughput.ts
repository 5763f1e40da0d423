import { Graph } from '../graph/graph.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { gemm } from '../ops/matrix-product.js'
import type { Runtime } from './session.js'

/** What a float32 product of two square matrices reached. */
export interface MatrixThroughput {
  readonly gflops: number
  /** Rows of the matrices. */
  readonly side: number
}

/** The best of `matrixThroughput` over a few sizes: which one suits the caches best differs between machines. */
export async function bestMatrixThroughput(
  runtime: Runtime,
  sides: readonly number[] = [1024, 1536, 2048],
): Promise<MatrixThroughput> {
  let best: MatrixThroughput = { gflops: 0, side: 0 }
  for (const side of sides) {
    const gflops = await matrixThroughput(runtime, side)
    if (gflops > best.gflops) best = { gflops, side }
  }
  return best
}

/**
 * What the machine reaches on a float32 product of two square matrices through this runtime: the median of several
 * runs after a warm-up, in GFLOP/s. It takes about a second; compare it only with figures of the same minute.
 */
export async function matrixThroughput(runtime: Runtime, side = 1024, runs = 7): Promise<number> {
  const graph = new Graph()
  const x = graph.input('x', 'float32', [side, side])
  graph.output('x.next', gemm(x, x))
  // As the session's state, nothing is copied in the time that is taken. The matrix is its own square, so that it
  // can be multiplied for ever: the outer product of two vectors whose inner product is 1.
  const u = Float64Array.from({ length: side }, (_, i) => 1 + ((i * 31) % 17))
  const data = Float32Array.from(
    { length: side * side },
    (_, i) => u[Math.floor(i / side)]! / (side * u[i % side]!),
  )
  const session = await runtime.load(toOnnx(graph, { name: 'matrix-throughput' }), {
    state: { x: 'x.next' },
    initialState: { x: { dtype: 'float32', shape: [side, side], data } },
  })
  try {
    const times: number[] = []
    for (let i = 0; i < runs + 2; i++) {
      const start = performance.now()
      await session.run({})
      if (i >= 2) times.push(performance.now() - start)
    }
    const median = times.sort((x, y) => x - y)[Math.floor(runs / 2)]!
    return (2 * side ** 3) / (median * 1e6)
  } finally {
    await session.release()
  }
}
