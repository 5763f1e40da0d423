import { accuracyChart, lossChart, renderReport, reportInput } from '@ageb/report'
import {
  type FinishedRun,
  type RunFolder,
  readBackdoorRecord,
  readTiming,
  readTrainRecord,
} from '@ageb/workbench'

/**
 * Writes what people look at into a finished run's folder, from that folder alone.
 * @returns the files of interest within the folder, by name
 */
export function writePictures(run: RunFolder, kind: FinishedRun['kind']): Promise<Record<string, string>> {
  return pictures[kind](run)
}

const pictures: Record<FinishedRun['kind'], (run: RunFolder) => Promise<Record<string, string>>> = {
  async train(run) {
    const { curve } = await readTrainRecord(run)
    await run.write('loss.svg', lossChart([curve]))
    await run.write('accuracy.svg', accuracyChart([curve]))
    return { checkpoint: 'model' }
  },
  async backdoor(run) {
    const [read, timing, environment] = [
      await readBackdoorRecord(run),
      await readTiming(run),
      await run.environment(),
    ]
    await run.write('report.html', renderReport(reportInput({ ...read, timing, environment })))
    return { report: 'report.html' }
  },
}
