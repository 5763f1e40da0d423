import { z } from 'zod'
import { modelNote, recordFile, recordHead } from './record-parts.js'
import { decodeTable, encodeTable } from './table.js'

/** What a plain training leaves, with the files that it names; no times, no paths. */
export const trainRecord = z.object({
  ...recordHead,
  kind: z.literal('train'),
  /** What the training began with: a checkpoint, or first weights drawn by the seed. */
  start: modelNote,
  /** Number of trainable values. */
  parameters: z.int(),
  /** One row a test image: label and what the model predicts. */
  predictions: recordFile,
  /** The steps of the training. */
  training: recordFile,
})
export type TrainRecord = z.infer<typeof trainRecord>

/** What a model predicts for every test image; class indices, in the order of the images. */
export interface TestPredictions {
  readonly index: Int32Array
  readonly label: Int32Array
  readonly predicted: Int32Array
}

/** The predictions as a Parquet table, one row a test image. */
export function encodeTestPredictions(
  predictions: TestPredictions,
  classNames: readonly string[],
): Uint8Array {
  return encodeTable({ ...predictions }, { classNames: JSON.stringify(classNames) })
}

/** Reads what `encodeTestPredictions` wrote. Throws InputError naming the file. */
export function decodeTestPredictions(bytes: Uint8Array, where: string): Promise<TestPredictions> {
  return decodeTable(bytes, { index: 'int', label: 'int', predicted: 'int' }, where)
}
