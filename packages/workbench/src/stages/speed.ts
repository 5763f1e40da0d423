import { type Graph, matrixOperations } from 'onnxgrad'

/** How fast a graph ran. */
export interface Pace {
  readonly imagesPerSecond: number
  /** Median, milliseconds. */
  readonly stepMs: number
  /** First and third quartile of the same. */
  readonly stepMsQuartiles: readonly [number, number]
  /** Number of steps that were measured. */
  readonly steps: number
  /** Operations of a step that matrix products and convolutions do, in units of 1e9. */
  readonly gflopsPerStep: number
}

/** Steps at the start in which memory is allocated for the first time: to be left out. */
export const WARM_UP = 3

/**
 * The pace of a graph.
 *
 * @param seconds of every step, at least one, none of them of the warm-up
 * @param images a step
 */
export function paceOf(seconds: readonly number[], images: number, graph: Graph): Pace {
  const sorted = seconds.toSorted((a, b) => a - b)
  const quantile = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!
  const median = sorted[Math.floor(sorted.length / 2)]!
  return {
    imagesPerSecond: images / median,
    stepMs: median * 1000,
    stepMsQuartiles: [quantile(0.25) * 1000, quantile(0.75) * 1000],
    steps: sorted.length,
    gflopsPerStep: matrixOperations(graph) / 1e9,
  }
}

/** Share of a matrix throughput, in GFLOP/s, that a graph used. */
export function shareOf({ gflopsPerStep, stepMs }: Pace, gemmGflops: number): number {
  return (gflopsPerStep * 1000) / stepMs / gemmGflops
}
