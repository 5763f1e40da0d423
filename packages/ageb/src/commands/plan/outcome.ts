import {
  assignAll,
  backdoorRunConfig,
  check,
  duration,
  type Monitor,
  type Plan,
  percent,
  plan,
  type Row,
  readConfiguration,
  trainRunConfig,
  UsageError,
} from '@ageb/workbench'
import { type ColumnFlags, columnsOf, type MachineFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'

export interface PlanFlags extends MachineFlags, ColumnFlags {
  readonly set?: readonly string[]
  readonly data?: string
  readonly images?: number
  readonly testImages?: number
  readonly classes?: number
  readonly gflops?: number
}

/** Estimates the cost of a configuration. */
export async function planned(
  file: string | undefined,
  flags: PlanFlags,
  monitor: Monitor,
): Promise<Outcome> {
  const config = await configurationOf(file, flags)
  const { images, testImages, classes, gflops } = flags
  const data = await plan(config, { images, testImages, classes, gflops, monitor })
  return { data, text: table(rowsOf(data, config.training.microBatches)) }
}

async function configurationOf(
  file: string | undefined,
  { set, data, threads, device, ...flags }: PlanFlags,
) {
  const where = file ?? 'the configuration'
  const read = assignAll(file === undefined ? { kind: 'train' } : await readConfiguration(file), set)
  const plain: Record<string, unknown> = {
    ...read,
    ...(data !== undefined && { dataset: data }),
    ...columnsOf(flags, read),
    ...(threads !== undefined && { threads }),
    ...(device !== undefined && { device }),
  }
  if (plain.kind === 'train') return check(trainRunConfig, plain, where)
  if (plain.kind === 'backdoor') return check(backdoorRunConfig, plain, where)
  throw new UsageError(`${where}: 'kind' must be train or backdoor`)
}

const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`

function rowsOf(p: Plan, asked: number): Row[] {
  const { train, test, classes } = p.images
  const fits =
    p.microBatches === null
      ? 'no number of micro-batches fits into the free memory: choose a smaller model, image size or data set'
      : p.microBatches > asked
        ? `set training.microBatches=${p.microBatches} to fit into ${gib(p.freeMemoryBytes)} of free memory`
        : `fits into ${gib(p.freeMemoryBytes)} of free memory`
  return [
    [
      'data',
      p.dataset,
      `${train} training and ${test} test images of ${classes} classes, ${p.imageSize}×${p.imageSize}`,
    ],
    ['parameters', p.parameters.toLocaleString('en')],
    ['training steps', p.steps.toLocaleString('en'), p.trainings > 1 ? `of ${p.trainings} trainings` : ''],
    ['operations', `${p.teraflops.toFixed(1)} TFLOP`, `${p.gflopsPerStep.toFixed(1)} GFLOP per step`],
    ['memory', gib(p.memoryBytes), `${gib(p.stepMemoryBytes)} of it for a training step; ${fits}`],
    ['disk', gib(p.cacheBytes + p.runBytes), `${gib(p.cacheBytes)} of it for the cache of decoded images`],
    ['time on this machine', duration(p.seconds), `${p.secondsPerStep.toFixed(2)} s per step`],
    ['… of the matrix throughput', percent(p.mfu), `of ${p.gemmGflops.toFixed(0)} GFLOP/s`],
    ...(p.otherProcessor
      ? [
          [
            `time at ${p.otherProcessor.gflops} GFLOP/s`,
            duration(p.otherProcessor.seconds),
            'at the same share of the throughput',
          ] as const,
        ]
      : []),
  ]
}
