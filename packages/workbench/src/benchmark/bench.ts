import { cpus } from 'node:os'
import { bestMatrixThroughput, type Device, type MatrixThroughput, type RuntimeChoice } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { UsageError } from '../configuration/resolve.js'
import { type Monitor, silent, type WatchOptions } from '../runs/monitor.js'
import { environment } from '../runs/run-folder.js'
import { shareOf } from '../stages/speed.js'
import { benchModel } from './parts/subject.js'
import { runPart } from './run-part.js'
import {
  type BenchPart,
  type BenchResult,
  type BenchSettings,
  type Beside,
  benchDefaults,
  type PartResults,
  partNames,
} from './settings.js'

export interface BenchOptions extends WatchOptions {
  /** What is measured, in this order. Default: all of `partNames`; `profile` must be asked for. */
  readonly parts?: readonly BenchPart[] | undefined
}

/**
 * Measures how fast this machine trains, computes triggers, predicts and loads images: each part in a process of its
 * own, run sequentially, with the matrix throughput before and after each.
 *
 * @example
 * const { train } = await bench({ width: 128, heads: 4, seconds: 5 }, { parts: ['train'] })
 * console.log(train!.imagesPerSecond, train!.mfu)
 * @param settings what is not given is taken from `benchDefaults`
 * @throws UsageError if the model's sizes do not go together; InputError if a part fails
 */
export async function bench(
  settings: Partial<BenchSettings> = {},
  { parts = partNames, monitor = silent, signal }: BenchOptions = {},
): Promise<BenchResult> {
  const all: BenchSettings = { ...benchDefaults, ...settings }
  assertMeasurable(all)
  const { device, ...first } = await throughput(all, monitor)
  // Every part on the same one, whatever 'auto' would find the next time.
  const chosen: BenchSettings = { ...all, device }
  const throughputs: MatrixThroughput[] = [first]
  const measured: Partial<Record<keyof PartResults, PartResults[keyof PartResults] & Beside>> = {}
  for (const part of parts) {
    monitor.say(`${part} …`)
    const result = await runPart(part, chosen, signal)
    throughputs.push(await throughput(chosen, monitor))
    const [before, after] = throughputs.slice(-2) as [MatrixThroughput, MatrixThroughput]
    measured[part] = { ...result, gemmGflopsBefore: before.gflops, gemmGflopsAfter: after.gflops }
  }
  const best = throughputs.reduce((a, b) => (b.gflops > a.gflops ? b : a))
  return {
    gemmGflops: best.gflops,
    gemmSide: best.side,
    gemmGflopsMeasured: throughputs.map(({ gflops }) => gflops),
    threads: all.threads,
    device,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    environment: environment(device),
    settings: all,
    ...Object.fromEntries(
      Object.entries(measured).map(([part, figures]) => [
        part,
        'gflopsPerStep' in figures ? { ...figures, mfu: shareOf(figures, best.gflops) } : figures,
      ]),
    ),
  } as BenchResult
}

function assertMeasurable(settings: BenchSettings): void {
  try {
    benchModel(settings)
  } catch (error) {
    throw new UsageError(`${(error as Error).message}: change --width, --heads, --patch or --image`)
  }
  const { batch, microBatches } = settings
  if (batch % microBatches !== 0)
    throw new UsageError(`--micro-batches ${microBatches} does not divide --batch ${batch}: choose a divisor`)
}

/** With a runtime of its own: an idle one would keep memory and threads while a part is measured. */
async function throughput(
  { threads, device }: RuntimeChoice,
  monitor: Monitor,
): Promise<MatrixThroughput & { readonly device: Device }> {
  const runtime = startRuntime({ threads, device })
  try {
    const best = await bestMatrixThroughput(runtime)
    monitor.say(`matrix throughput ${best.gflops.toFixed(0)} GFLOP/s`)
    return { ...best, device: await runtime.device() }
  } finally {
    await runtime.close()
  }
}
