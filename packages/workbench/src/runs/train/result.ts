import {
  accuracy,
  assertClasses,
  curveOf,
  decodeTestPredictions,
  decodeTrainingLog,
  type Rate,
  type TestPredictions,
  type TrainingCurve,
  type TrainRecord,
  trainRecord,
} from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { readRecord, readRecordFile } from '../record-files.js'
import type { RunFolder } from '../run-folder.js'

/** A plain training's record with the contents of the files that it names. */
export interface ReadTrainRecord {
  readonly record: TrainRecord
  readonly predictions: TestPredictions
  readonly curve: TrainingCurve
}

/** Reads the record of a finished training from its folder alone. Throws UsageError and InputError as `readRecord`. */
export async function readTrainRecord(folder: RunFolder): Promise<ReadTrainRecord> {
  const record = await readRecord(folder, trainRecord, 'train')
  const { predictions, training } = record
  const log = await decodeTrainingLog(await readRecordFile(folder, training), folder.file(training.name))
  const where = folder.file(predictions.name)
  const decoded = await decodeTestPredictions(await readRecordFile(folder, predictions), where)
  const { label, predicted } = decoded
  const { classNames, test } = record.data
  if (label.length !== test.count)
    throw new InputError(`${where} has ${label.length} rows, but the record is of ${test.count} test images`)
  assertClasses({ label, predicted }, classNames.length, where)
  return {
    record,
    predictions: decoded,
    curve: curveOf('training', log),
  }
}

/** The figures of a training, flat for machines; rates are from 0 to 1. */
export interface TrainFigures {
  /** The model's folder within the run. */
  readonly checkpoint: string
  readonly dataset: string
  readonly parameters: number
  readonly testAccuracy: Rate
  readonly nTrain: number
  readonly nTest: number
  readonly seed: number
}

export function trainFiguresOf({ record, predictions }: ReadTrainRecord): TrainFigures {
  const { configuration, parameters, data } = record
  return {
    checkpoint: 'model',
    dataset: String(configuration.dataset),
    parameters,
    testAccuracy: accuracy(predictions.label, predictions.predicted),
    nTrain: data.train.count,
    nTest: data.test.count,
    seed: Number(configuration.seed),
  }
}
