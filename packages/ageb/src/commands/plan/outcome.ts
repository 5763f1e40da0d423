import {
  assignAll,
  beginningOf,
  checkConfiguration,
  duration,
  loadPlugins,
  type Monitor,
  type Plan,
  percent,
  plan,
  type Row,
  type RunConfiguration,
  type RunKind,
  runKindOf,
  runKinds,
} from '@ageb/workbench'
import { type ColumnFlags, columnsOf, type MachineFlags, type PluginFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'

export interface PlanFlags extends MachineFlags, ColumnFlags, PluginFlags {
  readonly set?: readonly string[]
  readonly data?: string
  readonly images?: number
  readonly testImages?: number
  readonly classes?: number
  readonly gflops?: number
}

/** Estimates the cost of a configuration. @param argument a configuration file, or the name of an attack */
export async function planned(
  argument: string | undefined,
  flags: PlanFlags,
  monitor: Monitor,
): Promise<Outcome> {
  const { config, plugins } = await configurationOf(argument, flags)
  const { images, testImages, classes, gflops } = flags
  const data = await plan(config, { images, testImages, classes, gflops, plugins, monitor })
  return { data, text: table(rowsOf(data, config.training.microBatches)) }
}

async function configurationOf(argument: string | undefined, flags: PlanFlags) {
  const { set, data, threads, device, plugin } = flags
  const { where, configuration, folder } =
    argument === undefined
      ? { where: 'the configuration', configuration: { kind: 'train' }, folder: undefined }
      : await beginningOf(argument, plugin)
  const plain: Record<string, unknown> = {
    ...assignAll(configuration, set),
    ...(data !== undefined && { dataset: data }),
    ...columnsOf(flags, configuration),
    ...(threads !== undefined && { threads }),
    ...(device !== undefined && { device }),
  }
  const loaded = await loadPlugins(plain, where, { named: plugin, folder })
  const check = <C extends RunConfiguration>(kind: RunKind<C>) =>
    checkConfiguration(kind, loaded.configuration, where, loaded.plugins)
  const kind = runKindOf(plain.kind, where)
  return {
    config: kind === 'train' ? check(runKinds.train) : check(runKinds.backdoor),
    plugins: loaded.plugins,
  }
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
    [
      'disk',
      gib(p.diskBytes),
      `${gib(p.cacheBytes)} of it for the cache of decoded images, ${gib(p.storeBytes)} for the store`,
    ],
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
