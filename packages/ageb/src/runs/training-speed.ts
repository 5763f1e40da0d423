import { type ImageSet, type Model, type TrainingConfig, trainingStep } from '@ageb/lab'
import { matrixOperations, matrixThroughput, type Runtime } from 'onnxgrad'
import type { RunEvent } from './run-folder.js'

/** How fast a training was, against what the machine could do in the same minute. */
export interface TrainingSpeed {
  readonly imagesPerSecond: number
  /** Median, milliseconds. */
  readonly stepMs: number
  /** Operations of a step that matrix products and convolutions do, in units of 1e9. */
  readonly gflopsPerStep: number
  /** A large square float32 matrix product, measured right after the training. */
  readonly gemmGflops: number
  /** Share of that throughput which the training used. */
  readonly mfu: number
}

/** Steps at the start in which memory is taken for the first time. */
const WARM_UP = 3

/** Speed of a training from the steps that it logged; null if it had too few to tell. */
export async function trainingSpeed(
  runtime: Runtime,
  model: Model,
  config: TrainingConfig,
  data: ImageSet,
  events: readonly RunEvent[],
): Promise<TrainingSpeed | null> {
  const seconds = events.flatMap(event =>
    event.type === 'step' && (event.step ?? 0) > WARM_UP ? [Number(event.seconds)] : [],
  )
  const median = seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 2)]
  if (median === undefined) return null
  const gflopsPerStep = matrixOperations(trainingStep(model, config, data).graph) / 1e9
  const gemmGflops = await matrixThroughput(runtime)
  return {
    imagesPerSecond: config.batchSize / median,
    stepMs: median * 1000,
    gflopsPerStep,
    gemmGflops,
    mfu: gflopsPerStep / median / gemmGflops,
  }
}
