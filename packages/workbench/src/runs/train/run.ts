import {
  assertFits,
  assertTrainable,
  buildModel,
  type Checkpoint,
  encodeTestPredictions,
  encodeTrainingLog,
  initialWeights,
  type Model,
  parameterCount,
  rng,
  type TrainRecord,
  trainRecord,
} from '@ageb/lab'
import { startRuntime } from 'onnxgrad/node'
import { saveCheckpoint } from '../../checkpoints/checkpoint-folder.js'
import { UsageError } from '../../configuration/resolve.js'
import type { TrainRunConfig } from '../../configuration/train-config.js'
import { machineKey } from '../../stages/machine.js'
import { predictionStage } from '../../stages/prediction-stage.js'
import { fitted } from '../fitted.js'
import { assertSameInputs, inputsOf } from '../inputs.js'
import { describedModel, type LoadedModel, loadModel, noteOf } from '../loaded-model.js'
import type { Monitor } from '../monitor.js'
import { writeRecord, writeRecordFile } from '../record-files.js'
import { recordHeadOf } from '../record-head.js'
import type { OnMachine, RunContext } from '../run-kind.js'
import { splitsOf } from '../splits.js'
import { trainThroughStore } from '../train-through-store.js'

/** Trains a classifier and measures it on the test split, once, at the end. */
export async function trainRun(
  { folder, stages, monitor, signal }: RunContext,
  config: OnMachine<TrainRunConfig>,
) {
  const { seed, from, imageSize } = config
  if (imageSize !== undefined && from === undefined)
    throw new UsageError("'imageSize' is for 'from': set 'model.image_size' for a new model")
  const loaded = from === undefined ? null : await loadModel(from, monitor, { withoutClassifier: true })
  const size = imageSize ?? loaded?.checkpoint.model.imageSize ?? config.model.image_size
  const known = loaded?.checkpoint.model.classNames ?? []
  const data = { size, classNames: known, monitor, signal }
  const { train, test } = await splitsOf({ ...config, heldOut: 0 }, data)
  const { classNames } = train
  const start = loaded ? fittedModel(loaded, classNames, config, monitor) : scratch(config, classNames)
  const { model, weights, provenance } = start.checkpoint
  assertTrainable(model, config.training, train)
  assertFits(model, test)
  await assertSameInputs(
    folder,
    inputsOf(config.dataset, { train, test }, { from: loaded ? start : undefined }),
  )
  const runtime = startRuntime(config)
  try {
    const engine = { runtime, machine: machineKey(config) }
    const trained = await trainThroughStore(stages, 'training', {
      label: 'training',
      engine,
      model,
      weights,
      digest: start.digest,
      data: train,
      config: config.training,
      seed,
    })
    const { output, key } = trained
    const predicted = await stages.run('predictions', predictionStage, {
      engine,
      model,
      weights: output.weights,
      digest: key,
      images: test,
    })
    await saveCheckpoint(folder.file('model'), {
      ...start.checkpoint,
      weights: output.weights,
      provenance: loaded
        ? provenance
        : { poisoned: false, seed, note: `trained by ageb on the ${train.split} split of ${train.name}` },
    })
    const write = (name: string, bytes: Uint8Array) => writeRecordFile(folder, name, bytes)
    const predictions = {
      index: Int32Array.from(test.labels.keys()),
      label: test.labels,
      predicted: predicted.output,
    }
    const record: TrainRecord = {
      ...(await recordHeadOf(config, { train, test })),
      kind: 'train',
      start: noteOf(start),
      parameters: parameterCount(model),
      predictions: await write('predictions.parquet', encodeTestPredictions(predictions, classNames)),
      training: await write('training.parquet', encodeTrainingLog(output.log)),
    }
    await writeRecord(folder, trainRecord, record)
    return { pace: output.pace }
  } finally {
    await runtime.close()
  }
}

function fittedModel(
  loaded: LoadedModel,
  classNames: readonly string[],
  { imageSize, seed }: Pick<TrainRunConfig, 'imageSize' | 'seed'>,
  monitor: Monitor,
): LoadedModel {
  const checkpoint = fitted(monitor, loaded.name, loaded.checkpoint, { classNames, imageSize, seed })
  return describedModel(checkpoint, loaded)
}

/** The model that the configuration describes, with first weights. Throws UsageError if its sizes do not fit. */
function scratch(
  { model: config, seed }: Pick<TrainRunConfig, 'model' | 'seed'>,
  classNames: readonly string[],
): LoadedModel {
  let model: Model
  try {
    model = buildModel(config, { classNames })
  } catch (error) {
    throw new UsageError(`'model': ${(error as Error).message}`)
  }
  const checkpoint: Checkpoint = {
    model,
    weights: initialWeights(model, rng(seed, 'weights')),
    provenance: { poisoned: false },
  }
  return describedModel(checkpoint, { name: `a new ${model.modelType}`, commit: undefined })
}
