import {
  accuracy,
  assertFits,
  buildModel,
  type Confusion,
  confusion,
  initialWeights,
  type Model,
  parameterCount,
  predict,
  type Rate,
  rng,
} from '@ageb/lab'
import { startRuntime } from 'onnxgrad/node'
import { loadCheckpoint, saveCheckpoint } from '../checkpoints/checkpoint-folder.js'
import { check, UsageError } from '../configuration/resolve.js'
import { type TrainRunConfig, trainRunConfig } from '../configuration/train-config.js'
import { inOrderOf } from '../data/class-names.js'
import { openSplits } from '../data/dataset.js'
import { fitted } from './fitted.js'
import type { Monitor } from './monitor.js'
import { warnIfPoisoned } from './provenance.js'
import type { RunFolder } from './run-folder.js'
import { trackedTraining } from './tracked-training.js'
import { type TrainingSpeed, trainingSpeed } from './training-speed.js'

/** The figures of a training, flat for machines; rates are from 0 to 1. */
export interface TrainResult {
  readonly run: string
  /** The model's folder within the run. */
  readonly checkpoint: string
  readonly dataset: string
  readonly parameters: number
  readonly testAccuracy: Rate
  readonly confusion: Confusion
  /** Of the process that finished the run. */
  readonly seconds: number
  readonly speed: TrainingSpeed | null
}

/** Trains a classifier and measures it on the test split, once, at the end. */
export async function trainRun(
  run: RunFolder,
  plain: Record<string, unknown>,
  monitor: Monitor,
  signal: AbortSignal,
): Promise<TrainResult> {
  const started = Date.now()
  const config = check(trainRunConfig, plain, run.file('config.yaml'))
  const { seed, dataset, columns } = config
  const { from, imageSize } = config
  if (imageSize !== undefined && from === undefined) {
    const where = run.file('config.yaml')
    throw new UsageError(`${where}: 'imageSize' is for 'from': set 'model.image_size' for a new model`)
  }
  const { say: warn } = monitor
  const loaded = from === undefined ? null : await loadCheckpoint(from, { withoutClassifier: true, warn })
  if (loaded && from !== undefined) warnIfPoisoned(monitor, from, loaded)
  const size = imageSize ?? loaded?.model.imageSize ?? config.model.image_size
  const opened = await openSplits({ dataset, columns, splits: ['train', 'test'], size, monitor, signal })
  // A head that knows the same classes in another order serves as it is.
  const [data, test] = loaded ? inOrderOf(opened, loaded.model.classNames, monitor) : opened
  const { classNames } = data
  const start =
    loaded && from !== undefined ? fitted(monitor, from, loaded, { classNames, imageSize, seed }) : null
  const model = start?.model ?? scratch(config, classNames, run.file('config.yaml'))
  assertFits(model, data)
  assertFits(model, test)
  const runtime = startRuntime(config)
  try {
    const weights = await trackedTraining({
      run,
      monitor,
      phase: 'training',
      runtime,
      model,
      from: start?.weights ?? initialWeights(model, rng(seed, 'weights')),
      data,
      config: config.training,
      seed,
      signal,
    })
    const called = await predict(runtime, model, weights, test)
    const matrix = confusion(test.labels, called, model.classNames.length)
    await saveCheckpoint(run.file('model'), {
      model,
      weights,
      provenance: start?.provenance ?? {
        poisoned: false,
        seed,
        note: `trained by ageb on the train split of ${data.name}`,
      },
    })
    const metrics = {
      checkpoint: 'model',
      dataset,
      parameters: parameterCount(model),
      testAccuracy: accuracy(test.labels, called),
      confusion: matrix,
    }
    const events = await run.events()
    const speed = await trainingSpeed(runtime, model, config.training, data, events)
    await run.finish(metrics, { seconds: (Date.now() - started) / 1000, speed })
    return (await run.result<TrainResult>())!
  } finally {
    await runtime.close()
  }
}

/** The model that the configuration describes. Throws UsageError if its sizes do not go together. */
function scratch(config: TrainRunConfig, classNames: readonly string[], where: string): Model {
  try {
    return buildModel(config.model, { classNames })
  } catch (error) {
    throw new UsageError(`${where}: 'model': ${(error as Error).message}`)
  }
}
