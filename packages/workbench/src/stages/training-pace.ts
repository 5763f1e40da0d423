import { type FrozenPrefix, type ImageSource, type Model, type TrainingConfig, trainingStep } from '@ageb/lab'
import { matrixThroughput, type Runtime } from 'onnxgrad'
import { peakRssMiB } from './memory.js'
import { type Pace, paceOf, shareOf, WARM_UP } from './speed.js'

/** How fast a training was, compared with what the machine could do in the same minute. */
export interface TrainingPace extends Partial<Pace> {
  /** Throughput of a large square float32 matrix product, measured right after the training, GFLOP/s. */
  readonly gemmGflops: number
  /** Share of that throughput which the training used; absent if there were too few steps to measure. */
  readonly mfu?: number
  /**
   * Share of the time of all steps in which they waited for their images, from 0 to 1; the steps of the warm-up are left
   * out. 0 where reading ahead keeps up with the training.
   */
  readonly dataWaitShare: number
  /** The largest resident memory of the process by the end of the training, MiB. */
  readonly peakRssMiB: number
}

/**
 * The pace of a training.
 * @param prefix where the training started behind frozen blocks, whose work is not counted
 * @param times seconds of every step that was timed, in order, and how long each of them waited for its images
 */
export async function trainingPace(
  runtime: Runtime,
  model: Model,
  config: TrainingConfig,
  data: ImageSource,
  prefix: FrozenPrefix | undefined,
  times: { readonly seconds: readonly number[]; readonly dataWait: readonly number[] },
): Promise<TrainingPace> {
  const counted = times.seconds.slice(WARM_UP)
  const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0)
  const total = sum(counted)
  const pace =
    counted.length > 0
      ? paceOf(
          counted,
          config.batchSize,
          trainingStep(model, config, data, prefix && { startAt: prefix.block }).graph,
        )
      : null
  const gemmGflops = await matrixThroughput(runtime)
  return {
    ...pace,
    gemmGflops,
    ...(pace && { mfu: shareOf(pace, gemmGflops) }),
    dataWaitShare: total > 0 ? sum(times.dataWait.slice(WARM_UP)) / total : 0,
    peakRssMiB: peakRssMiB(),
  }
}
