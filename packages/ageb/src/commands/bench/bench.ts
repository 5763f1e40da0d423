import { cpus } from 'node:os'
import type { Monitor } from '@ageb/workbench'
import { environment, shareOf, UsageError } from '@ageb/workbench'
import { bestMatrixThroughput, type MatrixThroughput } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import type { Outcome } from '../../cli/output.js'
import { benchModel } from './parts/subject.js'
import { benchText } from './report.js'
import { runPart } from './run-part.js'
import type { BenchResult, BenchSettings, Beside, PartName, PartResults } from './settings.js'

/**
 * Measures the parts, one after the other, with the matrix throughput before and after each.
 *
 * @throws UsageError if the model's sizes do not go together
 * @throws InputError if a part fails
 */
export async function bench(
  settings: BenchSettings,
  parts: readonly (PartName | 'profile')[],
  terminal: Monitor,
): Promise<Outcome> {
  try {
    benchModel(settings)
  } catch (error) {
    throw new UsageError(`${(error as Error).message}: change --width, --heads, --patch or --image`)
  }
  const { batch, microBatches } = settings
  if (batch % microBatches !== 0)
    throw new UsageError(`--micro-batches ${microBatches} does not divide --batch ${batch}: choose a divisor`)
  const throughputs = [await throughput(settings.threads, terminal)]
  const measured: Partial<Record<keyof PartResults, PartResults[keyof PartResults] & Beside>> = {}
  for (const part of parts) {
    terminal.say(`${part} …`)
    const result = await runPart(part, settings)
    throughputs.push(await throughput(settings.threads, terminal))
    const [before, after] = throughputs.slice(-2) as [MatrixThroughput, MatrixThroughput]
    measured[part] = { ...result, gemmGflopsBefore: before.gflops, gemmGflopsAfter: after.gflops }
  }
  const best = throughputs.reduce((a, b) => (b.gflops > a.gflops ? b : a))
  const data = {
    gemmGflops: best.gflops,
    gemmSide: best.side,
    gemmGflopsMeasured: throughputs.map(({ gflops }) => gflops),
    threads: settings.threads,
    device: 'cpu',
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    environment: environment('cpu'),
    settings,
    ...Object.fromEntries(
      Object.entries(measured).map(([part, figures]) => [
        part,
        'gflopsPerStep' in figures ? { ...figures, mfu: shareOf(figures, best.gflops) } : figures,
      ]),
    ),
  } as BenchResult
  return { data, text: benchText(data) }
}

/** With a runtime of its own: an idle one would keep memory and threads while a part is measured. */
async function throughput(threads: number, terminal: Monitor): Promise<MatrixThroughput> {
  const runtime = startRuntime({ threads })
  try {
    const best = await bestMatrixThroughput(runtime)
    terminal.say(`matrix throughput ${best.gflops.toFixed(0)} GFLOP/s`)
    return best
  } finally {
    await runtime.close()
  }
}
