import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import type { DeviceChoice } from 'onnxgrad'
import { check, UsageError } from '../configuration/resolve.js'
import type { BackdoorRunResult } from '../runs/backdoor-run-result.js'
import type { RunFolder } from '../runs/run-folder.js'
import type { TrainResult } from '../runs/train-run.js'
import type { TrainingSpeed } from '../runs/training-speed.js'
import { duration, intervalNote, type Outcome, percent, type Row, table } from './output.js'
import type { Terminal } from './terminal.js'

type Plain = Record<string, unknown>

/** What the `kind` of a configuration stands for. */
export interface RunKind {
  /**
   * The resolved configuration: defaults filled in. Throws UsageError naming the key that is wrong, and InputError
   * if the device is not there.
   */
  check(plain: Plain, where: string): Promise<Plain>
  /** Does the work, or only reads its result if it is done already. */
  carryOut(run: RunFolder, configuration: Plain, terminal: Terminal, signal: AbortSignal): Promise<Outcome>
}

/** The kind of run that a configuration asks for. Throws UsageError if there is none such. */
export async function runKind(kind: unknown, where: string): Promise<RunKind> {
  if (kind === 'train') return trainKind()
  if (kind === 'backdoor') return backdoorKind()
  const came = kind === undefined ? 'it has none' : `not ${JSON.stringify(kind)}`
  throw new UsageError(`${where}: 'kind' must be train or backdoor; ${came}`)
}

async function trainKind(): Promise<RunKind> {
  const { trainRunConfig } = await import('../configuration/train-config.js')
  return {
    check: (plain, where) => onThisMachine(check(trainRunConfig, plain, where)),
    async carryOut(run, configuration, terminal, signal) {
      const { trainRun } = await import('../runs/train-run.js')
      const result =
        (await finished<TrainResult>(run, terminal)) ?? (await trainRun(run, configuration, terminal, signal))
      await run.clearStates()
      return {
        data: { ...result, checkpoint: path.join(run.path, result.checkpoint) },
        text: table(trainRows(result)),
      }
    },
  }
}

async function backdoorKind(): Promise<RunKind> {
  const { backdoorRunConfig } = await import('../configuration/backdoor-config.js')
  return {
    check: (plain, where) => onThisMachine(check(backdoorRunConfig, plain, where)),
    async carryOut(run, configuration, terminal, signal) {
      const { backdoorRun } = await import('../runs/backdoor-run.js')
      const done = await finished<BackdoorRunResult>(run, terminal)
      if (done && !existsSync(run.file('report.html'))) {
        const { writeReport } = await import('../runs/write-report.js')
        await writeReport(run)
      }
      const result = done ?? (await backdoorRun(run, configuration, terminal, signal))
      await run.clearStates()
      return {
        data: { ...result, report: path.join(run.path, result.report) },
        text: table(backdoorRows(result)),
      }
    },
  }
}

/** Device and thread count decide the last bits, so a run remembers those it began with. */
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

async function finished<T>(run: RunFolder, terminal: Terminal): Promise<T | null> {
  const result = await run.result<T>()
  if (result) terminal.say(`${run.path} is finished: this is its result`)
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
    share('clean twin: accuracy', 'cleanCda'),
    share('backdoored: clean data accuracy (CDA)', 'cda'),
    share('attack success rate (ASR)', 'asr'),
    share('… of the clean twin', 'cleanAsr'),
    share('… untriggered (base rate)', 'baseRate'),
    share('robust accuracy (RA)', 'ra'),
    ['PSNR', `${result.psnr.toFixed(1)} dB`],
    ['SSIM', result.ssim.toFixed(4)],
    ['attack', `${result.attack}, ${percent(result.poisonRate)} poison`],
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
    ['training speed', `${imagesPerSecond.toFixed(0)} images/s`, `${gflopsPerStep.toFixed(1)} GFLOP a step`],
    ['… of the matrix throughput', percent(mfu), `of ${gemmGflops.toFixed(0)} GFLOP/s`],
  ]
}
