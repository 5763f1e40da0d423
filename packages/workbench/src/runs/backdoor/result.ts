import {
  assertPredictions,
  type BackdoorPredictions,
  type BackdoorRecord,
  backdoorRecord,
  curveOf,
  decodePredictions,
  decodeTrainingLog,
  type TrainingCurve,
} from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { type RecordFile, readRecord, readRecordFile } from '../record-files.js'
import type { RunFolder } from '../run-folder.js'

/** A backdoor experiment's record with the contents of the files that it names. */
export interface ReadBackdoorRecord {
  readonly record: BackdoorRecord
  readonly predictions: BackdoorPredictions
  readonly curves: readonly TrainingCurve[]
  readonly gallery: readonly {
    readonly index: number
    readonly pictures: readonly { readonly name: string; readonly png: Uint8Array }[]
  }[]
}

/**
 * Reads the record of a finished backdoor run from its folder alone.
 * @throws UsageError if the run is not finished or is of another kind; InputError if a file is missing or damaged
 */
export async function readBackdoorRecord(folder: RunFolder): Promise<ReadBackdoorRecord> {
  const record = await readRecord(folder, backdoorRecord, 'backdoor')
  const { predictions, poison, training, gallery } = record
  // Nothing here is made of it, but whoever trusts the folder may read it.
  await readRecordFile(folder, poison)
  const curve = async (name: string, file: RecordFile) =>
    curveOf(name, await decodeTrainingLog(await readRecordFile(folder, file), folder.file(file.name)))
  const decoded = await decodePredictions(
    await readRecordFile(folder, predictions),
    folder.file(predictions.name),
  )
  const { classNames, test } = record.data
  const shape = { classes: classNames.length, count: test.count }
  assertPredictions(decoded, shape, folder.file(predictions.name))
  const beyond = gallery.find(({ index }) => index < 0 || index >= test.count)
  if (beyond)
    throw new InputError(
      `${folder.file('record.json')}: 'gallery' has image ${beyond.index}, but there are ${test.count} test images`,
    )
  return {
    record,
    predictions: decoded,
    curves: [
      await curve('clean fine-tuning', training.clean),
      await curve('poisoned fine-tuning', training.poisoned),
    ],
    gallery: await Promise.all(
      gallery.map(async ({ index, pictures }) => ({
        index,
        pictures: await Promise.all(
          pictures.map(async ({ name, file }) => ({ name, png: await readRecordFile(folder, file) })),
        ),
      })),
    ),
  }
}
