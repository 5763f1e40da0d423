import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import type { BackdoorRunResult, Monitor, RunFolder, TrainingSpeed, TrainResult } from '@ageb/workbench'
import { check, UsageError } from '@ageb/workbench'
import type { DeviceChoice } from 'onnxgrad'
import { duration, intervalNote, type Outcome, percent, type Row, table } from './output.js'

type Plain = Record<string, unknown>

/** What the `kind` of a configuration stands for. */
export interface RunKind {
  /**
   * The resolved configuration: defaults filled in. Throws UsageError naming the key that is wrong, and InputError
   * if the device is not available.
   */
  check(plain: Plain, where: string): Promise<Plain>
  /** Does the work, or only reads its result if it is done already. */
  carryOut(run: RunFolder, configuration: Plain, terminal: Monitor, signal: AbortSignal): Promise<Outcome>
}

/** The kind of run that a configuration asks for. Throws UsageError if there is no such kind. */
export async function runKind(kind: unknown, where: string): Promise<RunKind> {
  if (kind === 'train') return trainKind()
  if (kind === 'backdoor') return backdoorKind()
  const came = kind === undefined ? 'it has none' : `not ${JSON.stringify(kind)}`
  throw new UsageError(`${where}: 'kind' must be train or backdoor; ${came}`)
}

async function trainKind(): Promise<RunKind> {
  const { trainRunConfig } = await import('@ageb/workbench')
  return {
    check: (plain, where) => onThisMachine(check(trainRunConfig, plain, where)),
    async carryOut(run, configuration, terminal, signal) {
      const { trainRun } = await import('@ageb/workbench')
      const done = await finished<TrainResult>(run, terminal)
      const result = done ?? (await trainRun(run, configuration, terminal, signal))
      if (!existsSync(run.file('accuracy.svg'))) {
        const { accuracyChart, lossChart } = await import('@ageb/report')
        const { curveOf } = await import('@ageb/workbench')
        const curve = curveOf('training', 'training', await run.events())
        await run.write('loss.svg', lossChart([curve]))
        await run.write('accuracy.svg', accuracyChart([curve]))
      }
      await run.clearStates()
      return {
        data: { ...result, checkpoint: path.join(run.path, result.checkpoint) },
        text: table(trainRows(result)),
      }
    },
  }
}

async function backdoorKind(): Promise<RunKind> {
  const { backdoorRunConfig } = await import('@ageb/workbench')
  return {
    check: (plain, where) => onThisMachine(check(backdoorRunConfig, plain, where)),
    async carryOut(run, configuration, terminal, signal) {
      const { backdoorRun } = await import('@ageb/workbench')
      const done = await finished<BackdoorRunResult>(run, terminal)
      const result = done ?? (await backdoorRun(run, configuration, terminal, signal))
      if (!existsSync(run.file('report.html'))) {
        const { writeReport } = await import('./write-report.js')
        await writeReport(run)
      }
      await run.clearStates()
      return {
        data: { ...result, report: path.join(run.path, result.report) },
        text: table(backdoorRows(result)),
      }
    },
  }
}

/** Device and thread count decide the last bits, so a run records those that it was started with. */
async function onThisMachine(configuration: {
  threads?: number | undefined
  device: DeviceChoice
}): Promise<Plain> {
  const { threads = availableParallelism(), device } = configuration
  const { startRuntime } = await import('onnxgrad/node')
  const runtime = startRuntime({ threads, device })
  try {
    return { ...configuration, threads, device: await runtime.device() }
  } finally {
    await runtime.close()
  }
}

async function finished<T>(run: RunFolder, terminal: Monitor): Promise<T | null> {
  const result = await run.result<T>()
  if (result) terminal.say(`${run.path} is already finished: this is its result`)
  return result
}

function trainRows(result: TrainResult): Row[] {
  const { testAccuracy, checkpoint, dataset, parameters, seconds, run } = result
  return [
    ['test accuracy', percent(testAccuracy.value), intervalNote(testAccuracy)],
    ['data', dataset],
    ['parameters', String(parameters)],
    ['time', duration(seconds)],
    ...speedRows(result.speed),
    ['checkpoint', path.join(run, checkpoint)],
    ['run', run],
  ]
}

function backdoorRows(result: BackdoorRunResult): Row[] {
  const { intervals } = result
  const share = (label: string, key: 'cleanCda' | 'cda' | 'asr' | 'cleanAsr' | 'baseRate' | 'ra'): Row => {
    const interval = intervals[key]
    return [label, percent(result[key]), interval ? intervalNote(interval) : '']
  }
  return [
    share('accuracy of the clean twin', 'cleanCda'),
    share('clean data accuracy (CDA)', 'cda'),
    share('attack success rate (ASR)', 'asr'),
    share('… of the clean twin', 'cleanAsr'),
    share('… without the trigger (base rate)', 'baseRate'),
    share('robust accuracy (RA)', 'ra'),
    ['PSNR', `${result.psnr.toFixed(1)} dB`],
    ['SSIM', result.ssim.toFixed(4)],
    ['attack', `${result.attack}, ${percent(result.poisonRate)} of the training images poisoned`],
    ['data', `${result.dataset}, ${result.nTest} test images`],
    ['time', duration(result.seconds)],
    ...speedRows(result.speed),
    ['report', path.join(result.run, result.report)],
    ['run', result.run],
  ]
}

function speedRows(speed: TrainingSpeed | null): Row[] {
  if (!speed) return []
  const { imagesPerSecond, gflopsPerStep, mfu, gemmGflops } = speed
  return [
    [
      'training speed',
      `${imagesPerSecond.toFixed(0)} images/s`,
      `${gflopsPerStep.toFixed(1)} GFLOP per step`,
    ],
    ['… of the matrix throughput', percent(mfu), `of ${gemmGflops.toFixed(0)} GFLOP/s`],
  ]
}
