import { type ImageSource, type Model, type TrainingConfig, trainingStep } from '@ageb/lab'
import { matrixThroughput, type Runtime } from 'onnxgrad'
import type { RunEvent } from './run-folder.js'
import { type Pace, paceOf, shareOf, WARM_UP } from './speed.js'

/** How fast a training was, against what the machine could do in the same minute. */
export interface TrainingSpeed extends Pace {
  /** A large square float32 matrix product, measured right after the training. */
  readonly gemmGflops: number
  /** Share of that throughput which the training used. */
  readonly mfu: number
  /**
   * Seconds that steps waited for their batches, as a share of all seconds of steps, those of the warm-up left out:
   * 0 where reading and augmenting ahead keeps up with the training.
   */
  readonly dataWaitShare: number
}

/** Speed of a training from the steps that it logged; null if it had too few to tell. */
export async function trainingSpeed(
  runtime: Runtime,
  model: Model,
  config: TrainingConfig,
  data: ImageSource,
  events: readonly RunEvent[],
): Promise<TrainingSpeed | null> {
  const steps = events.filter(event => event.type === 'step' && (event.step ?? 0) > WARM_UP)
  const seconds = steps.map(event => Number(event.seconds))
  if (seconds.length === 0) return null
  const pace = paceOf(seconds, config.batchSize, trainingStep(model, config, data).graph)
  const gemmGflops = await matrixThroughput(runtime)
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
  const dataWaitShare = sum(steps.map(event => Number(event.dataWaitSeconds))) / sum(seconds)
  return { ...pace, gemmGflops, mfu: shareOf(pace, gemmGflops), dataWaitShare }
}
