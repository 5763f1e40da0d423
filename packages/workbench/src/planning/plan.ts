import { freemem } from 'node:os'
import { parameterCount, stepsOf, trainingStep } from '@ageb/lab'
import { matrixOperations } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import type { BackdoorRunConfig } from '../configuration/backdoor-config.js'
import type { TrainRunConfig } from '../configuration/train-config.js'
import { attacksOf, type Plugin } from '../plugins/plugin.js'
import { silent, type WatchOptions } from '../runs/monitor.js'
import { memoryOf, microBatchesFor } from './memory.js'
import { probe } from './probe.js'
import type { DataShape } from './published.js'
import { dataShape, type GivenSize, workloadOf } from './workload.js'

export interface PlanOptions extends WatchOptions, GivenSize {
  /** Matrix throughput of another processor for which the time is estimated, too, GFLOP/s. */
  readonly gflops?: number | undefined
  /** What `loadPlugins` loaded for the configuration. */
  readonly plugins?: readonly Plugin[] | undefined
}

/** What a run is estimated to cost. */
export interface Plan {
  readonly kind: 'train' | 'backdoor'
  readonly dataset: string
  readonly images: DataShape
  /** Of the model that is trained. */
  readonly parameters: number
  /** Side in pixels. */
  readonly imageSize: number
  /** How often the model is trained: a backdoored one has a clean twin. */
  readonly trainings: number
  /** Of all trainings. */
  readonly steps: number
  /** Operations of matrix products and convolutions, in units of 1e9. */
  readonly gflopsPerStep: number
  /** The same of the whole run, in units of 1e12. */
  readonly teraflops: number
  /** At the peak: a training step, the images that are held, and the state that is written. */
  readonly memoryBytes: number
  readonly stepMemoryBytes: number
  readonly dataMemoryBytes: number
  /** Of this machine, now. */
  readonly freeMemoryBytes: number
  /** The fewest micro-batches with which the run fits into the free memory; null if none does. */
  readonly microBatches: number | null
  /** Of the cache of decoded images, the run's folder and what the run puts into the store together. */
  readonly diskBytes: number
  readonly cacheBytes: number
  readonly runBytes: number
  readonly storeBytes: number
  /** Measured on this machine. */
  readonly secondsPerStep: number
  readonly seconds: number
  /** Matrix throughput of this machine, and the share of it that a training step uses. */
  readonly gemmGflops: number
  readonly mfu: number
  /** The time at the same share of the given throughput. */
  readonly otherProcessor?: { readonly gflops: number; readonly seconds: number }
}

/** Share of the free memory that a run may plan for. */
const SHARE_OF_MEMORY = 0.8

/**
 * Estimates the cost of a run before it is started, for which a few training steps are measured: about 20 seconds.
 *
 * @example
 * const config = check(trainRunConfig, { training: { epochs: 3 } }, 'here')
 * const { seconds, memoryBytes } = await plan(config)
 * @throws UsageError if the size of the data set is not known, or the model's sizes do not fit; InputError if a
 *   checkpoint is amiss
 */
export async function plan(
  config: TrainRunConfig | BackdoorRunConfig,
  { gflops, plugins = [], monitor = silent, signal, ...size }: PlanOptions = {},
): Promise<Plan> {
  const { training } = config
  const work = await workloadOf(config, await dataShape(config, size), monitor, attacksOf(plugins))
  const { model, data, trainings } = work
  const imageSize = { height: model.imageSize, width: model.imageSize }
  const perStep = matrixOperations(trainingStep(model, training, imageSize).graph)
  const steps = stepsOf(data.train, training).total * trainings
  const operations = steps * perStep + work.otherOperations
  const memory = memoryOf(work, training)
  const free = freemem() * SHARE_OF_MEMORY
  const microBatches = microBatchesFor(model, training, free - memory.data)
  monitor.say('measuring a few training steps, about 20 s …')
  const runtime = startRuntime(config)
  const probed = { ...training, microBatches: Math.max(training.microBatches, microBatches ?? 1) }
  const measured = await probe(runtime, model, probed, signal).finally(() => runtime.close())
  const seconds =
    steps * measured.secondsPerStep + work.otherOperations / (measured.mfu * measured.gemmGflops * 1e9)
  const weights = 4 * parameterCount(model)
  const disk = {
    cacheBytes: (data.train + data.test) * 3 * model.imageSize ** 2,
    // Checkpoints, and the state to resume from: weights and the optimizer's state, the new file beside the old one.
    runBytes: trainings * weights + 2 * (training.optimizer === 'adamw' ? 3 : 2) * weights,
    // What was trained, and triggered images with their maps.
    storeBytes: trainings * weights + (work.triggers.poison + work.triggers.test) * work.triggers.bytes,
  }
  return {
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
    diskBytes: disk.cacheBytes + disk.runBytes + disk.storeBytes,
    ...disk,
    secondsPerStep: measured.secondsPerStep,
    seconds,
    gemmGflops: measured.gemmGflops,
    mfu: measured.mfu,
    ...(gflops !== undefined && {
      otherProcessor: { gflops, seconds: operations / (gflops * 1e9 * measured.mfu) },
    }),
  }
}
