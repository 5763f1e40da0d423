import { imagesInMemory, type Model, rng, type TrainingConfig, train, trainingStep } from '@ageb/lab'
import { bestMatrixThroughput, matrixOperations, type Runtime } from 'onnxgrad'
import { placeholderWeights } from './placeholder-weights.js'

/** Steps that are not counted, and those that are, at each of two batch sizes. */
const WARM_UP = 2
const COUNTED = 3
/** A measured step should take about so long at the matrix throughput, so that the whole takes about 20 s. */
const STEP_SECONDS = 1.5

export interface Probe {
  readonly gemmGflops: number
  readonly secondsPerStep: number
  /** Share of the matrix throughput that a step uses. */
  readonly mfu: number
}

/**
 * Measures a few training steps of the model with smaller batches, and estimates the time of a step of the
 * configuration: a part that is the same for any batch, such as the optimizer's, and a part for every image.
 *
 * @throws the signal's reason if it is aborted
 */
export async function probe(
  runtime: Runtime,
  model: Model,
  config: TrainingConfig,
  signal?: AbortSignal,
): Promise<Probe> {
  signal?.throwIfAborted()
  const { gflops: gemmGflops } = await bestMatrixThroughput(runtime)
  const size = { height: model.imageSize, width: model.imageSize }
  const operations = matrixOperations(trainingStep(model, config, size).graph)
  const perImage = operations / config.batchSize
  const affordable = Math.max(2, Math.floor((STEP_SECONDS * gemmGflops * 1e9) / perImage))
  const most = Math.min(affordable, config.batchSize / config.microBatches)
  const [few, many] = [Math.max(1, Math.floor(most / 2)), most]
  const secondsOfBatch = (batchSize: number) =>
    secondsOf(runtime, model, { ...config, batchSize, microBatches: 1 }, signal)
  const long = await secondsOfBatch(many)
  const secondsPerStep =
    many === config.batchSize || few === many
      ? (long * config.batchSize) / many
      : await extrapolated(few, many, long)
  return { gemmGflops, secondsPerStep, mfu: operations / secondsPerStep / (gemmGflops * 1e9) }

  async function extrapolated(few: number, many: number, long: number): Promise<number> {
    const short = await secondsOfBatch(few)
    const each = Math.max(0, long - short) / (many - few)
    const always = Math.max(0, long - many * each)
    return always + config.batchSize * each
  }
}

/** Median time of a step on noise. */
async function secondsOf(
  runtime: Runtime,
  model: Model,
  config: TrainingConfig,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { imageSize, classNames } = model
  const count = config.batchSize
  const random = rng(1, 'images')
  const times: number[] = []
  const enough = new AbortController()
  let last = performance.now()
  try {
    await train({
      runtime,
      model,
      from: placeholderWeights(model),
      data: imagesInMemory({
        name: 'noise',
        split: 'train',
        height: imageSize,
        width: imageSize,
        pixels: Uint8Array.from({ length: count * 3 * imageSize ** 2 }, () => random.int(256)),
        labels: new Int32Array(count),
        classNames,
      }),
      config: { ...config, epochs: 1e6 },
      seed: 1,
      onStep({ step }) {
        const now = performance.now()
        if (step > WARM_UP) times.push((now - last) / 1000)
        last = now
        if (times.length === COUNTED) enough.abort()
      },
      signal: signal ? AbortSignal.any([signal, enough.signal]) : enough.signal,
    })
  } catch (error) {
    if (error !== enough.signal.reason) throw error
  }
  return times.sort((a, b) => a - b)[Math.floor(COUNTED / 2)]!
}
