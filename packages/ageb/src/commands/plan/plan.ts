import { freemem } from 'node:os'
import { parameterCount, stepsOf, trainingStep } from '@ageb/lab'
import type { Monitor } from '@ageb/workbench'
import {
  attacksOf,
  checkConfiguration,
  duration,
  loadPlugins,
  percent,
  type Row,
  type RunConfiguration,
  type RunKind,
  runKindOf,
  runKinds,
} from '@ageb/workbench'
import { matrixOperations } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { type ColumnFlags, columnsOf, type MachineFlags, type PluginFlags } from '../../cli/options.js'
import { type Outcome, table } from '../../cli/output.js'
import { assignAll, beginningOf } from '../../cli/settings.js'
import { memoryOf, microBatchesFor } from './memory.js'
import { probe } from './probe.js'
import { dataShape, workloadOf } from './workload.js'

export interface PlanFlags extends MachineFlags, ColumnFlags, PluginFlags {
  readonly set?: readonly string[]
  readonly data?: string
  readonly images?: number
  readonly testImages?: number
  readonly classes?: number
  readonly gflops?: number
}

/** Share of the free memory that a run may plan for. */
const SHARE_OF_MEMORY = 0.8

/** Estimates the cost of a configuration. @param argument a configuration file, or the name of an attack */
export async function plan(
  argument: string | undefined,
  flags: PlanFlags,
  terminal: Monitor,
): Promise<Outcome> {
  const { config, attacks } = await configurationOf(argument, flags)
  const { training } = config
  const work = await workloadOf(config, await dataShape(config, flags), terminal, attacks)
  const { model, data, trainings } = work
  const size = { height: model.imageSize, width: model.imageSize }
  const perStep = matrixOperations(trainingStep(model, training, size).graph)
  const steps = stepsOf(data.train, training).total * trainings
  const operations = steps * perStep + work.otherOperations
  const memory = memoryOf(work, training)
  const free = freemem() * SHARE_OF_MEMORY
  const microBatches = microBatchesFor(model, training, free - memory.data)
  terminal.say('measuring a few training steps, about 20 s …')
  const runtime = startRuntime(config)
  const measured = await probe(runtime, model, {
    ...training,
    microBatches: Math.max(training.microBatches, microBatches ?? 1),
  }).finally(() => runtime.close())
  const seconds =
    steps * measured.secondsPerStep + work.otherOperations / (measured.mfu * measured.gemmGflops * 1e9)
  const weights = 4 * parameterCount(model)
  const image = 3 * model.imageSize ** 2
  const disk = {
    cacheBytes: (data.train + data.test) * image,
    // Checkpoints, and the state to resume from: weights and the optimizer's state, the new file beside the old one.
    runBytes: trainings * weights + 2 * (training.optimizer === 'adamw' ? 3 : 2) * weights,
  }
  const result = {
    kind: config.kind,
    dataset: config.dataset,
    images: data,
    parameters: parameterCount(model),
    imageSize: model.imageSize,
    trainings,
    steps,
    gflopsPerStep: perStep / 1e9,
    teraflops: operations / 1e12,
    memoryBytes: memory.step + memory.data + memory.checkpoint,
    stepMemoryBytes: memory.step,
    dataMemoryBytes: memory.data,
    freeMemoryBytes: freemem(),
    microBatches: microBatches ?? null,
    diskBytes: disk.cacheBytes + disk.runBytes,
    ...disk,
    secondsPerStep: measured.secondsPerStep,
    seconds,
    gemmGflops: measured.gemmGflops,
    mfu: measured.mfu,
    ...(flags.gflops !== undefined && {
      otherProcessor: { gflops: flags.gflops, seconds: operations / (flags.gflops * 1e9 * measured.mfu) },
    }),
  }
  return { data: result, text: table(rowsOf(result, training.microBatches)) }
}

async function configurationOf(argument: string | undefined, flags: PlanFlags) {
  const { set, data, threads, device, plugin } = flags
  const { where, configuration, folder } =
    argument === undefined
      ? { where: 'the configuration', configuration: { kind: 'train' }, folder: undefined }
      : await beginningOf(argument, flags)
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
    attacks: attacksOf(loaded.plugins),
  }
}

interface Planned {
  readonly dataset: string
  readonly images: { readonly train: number; readonly test: number; readonly classes: number }
  readonly parameters: number
  readonly imageSize: number
  readonly trainings: number
  readonly steps: number
  readonly gflopsPerStep: number
  readonly teraflops: number
  readonly memoryBytes: number
  readonly stepMemoryBytes: number
  readonly dataMemoryBytes: number
  readonly freeMemoryBytes: number
  readonly microBatches: number | null
  readonly cacheBytes: number
  readonly runBytes: number
  readonly secondsPerStep: number
  readonly seconds: number
  readonly gemmGflops: number
  readonly mfu: number
  readonly otherProcessor?: { readonly gflops: number; readonly seconds: number }
}

const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`

function rowsOf(p: Planned, asked: number): Row[] {
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
