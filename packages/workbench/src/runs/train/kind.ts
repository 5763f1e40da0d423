import { assertWhole } from '../../checkpoints/checksums.js'
import { type TrainRunConfig, trainRunConfig } from '../../configuration/train-config.js'
import { intervalNote, percent, type Row } from '../format.js'
import type { RunKind } from '../run-kind.js'
import { readTrainRecord, type TrainFigures, trainFiguresOf } from './result.js'
import { trainRun } from './run.js'

/** A classifier trained or fine-tuned, without any attack. */
export const trainKind: RunKind<TrainRunConfig> = {
  kind: 'train',
  config: () => trainRunConfig,
  run: trainRun,
  async result(folder) {
    await assertWhole(folder.file('model'))
    const figures = trainFiguresOf(await readTrainRecord(folder))
    return { figures: { ...figures }, summary: summaryOf(figures) }
  },
}

function summaryOf({ testAccuracy, dataset, parameters }: TrainFigures): Row[] {
  return [
    ['test accuracy', percent(testAccuracy.value), intervalNote(testAccuracy)],
    ['data', dataset],
    ['parameters', String(parameters)],
  ]
}
