import path from 'node:path'
import { duration, type FinishedRun, percent, type Row, type RunTiming } from '@ageb/workbench'
import { type Outcome, table } from './output.js'

/** How a finished run is shown. @param files the report or the checkpoint, by name, within its folder */
export function outcomeOf(
  { folder, figures, summary, timing }: FinishedRun,
  files: Readonly<Record<string, string>>,
): Outcome {
  const run = folder.path
  const paths = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, path.join(run, file)]))
  return {
    data: { run, ...figures, ...paths, ...timing },
    text: table([
      ...summary,
      ...timingRows(timing),
      ...Object.entries(paths).map(([name, file]): Row => [name, file]),
      ['run', run],
    ]),
  }
}

function timingRows(timing: RunTiming | null): Row[] {
  if (!timing) return []
  const { seconds, reused, speed } = timing
  const { imagesPerSecond, gflopsPerStep, mfu, gemmGflops } = speed
  return [
    ['time', duration(seconds)],
    ...(reused.length > 0 ? [['taken from the store', reused.join(', ')] as Row] : []),
    ...(imagesPerSecond !== undefined && gflopsPerStep !== undefined && mfu !== undefined
      ? ([
          [
            'training speed',
            `${imagesPerSecond.toFixed(0)} images/s`,
            `${gflopsPerStep.toFixed(1)} GFLOP per step`,
          ],
          ['… of the matrix throughput', percent(mfu), `of ${gemmGflops.toFixed(0)} GFLOP/s`],
        ] as Row[])
      : []),
  ]
}
