import { bench, type Monitor, percent, type Row } from '@ageb/workbench'
import type { BenchPart, BenchResult, BenchSettings, Beside, Measured } from '@ageb/workbench/benchmark'
import { type ProfileEntry, sumProfile } from 'onnxgrad'
import { type Outcome, table } from '../../cli/output.js'

/** Measures the parts in their order, and tells their figures. */
export async function measured(
  settings: BenchSettings,
  parts: readonly BenchPart[],
  monitor: Monitor,
): Promise<Outcome> {
  const data = await bench(settings, { parts, monitor })
  return { data, text: benchText(data) }
}

function benchText(result: BenchResult): string {
  const { train, trigger, inference, dataLoading, profile } = result
  const { cpu, threads, device, gemmGflops, gemmSide, gemmGflopsMeasured: all, settings: s } = result
  const spread = `${gflops(Math.min(...all))} to ${gflops(Math.max(...all))} in ${all.length} measurements`
  const rows: Row[] = [
    ['processor', cpu, `${threads} ${threads === 1 ? 'thread' : 'threads'}, ${device}`],
    ['matrix throughput', `${gflops(gemmGflops)} GFLOP/s`, `${gemmSide}³, float32; ${spread}`],
    [
      'model',
      `ViT ${s.width} wide, ${s.depth} deep`,
      `${s.heads} heads, ${s.image}×${s.image} pixels, patches of ${s.patch}, batch ${s.batch}`,
    ],
    ...(train ? paceRows('training', train) : []),
    ...(train && s.microBatches > 1
      ? [
          [
            '… micro-batches',
            String(s.microBatches),
            'so that they fit into the caches; the result is the same',
          ] as const,
        ]
      : []),
    ...(trigger ? paceRows('trigger', trigger) : []),
    ...(trigger
      ? [['… in forward passes', `${trigger.timesForward.toFixed(2)}×`, 'the same model and batch'] as const]
      : []),
    ...(inference ? paceRows('inference', inference) : []),
    ...(dataLoading
      ? ([
          ['decoding', perSecond(dataLoading.decodedPerSecond), beside(dataLoading)],
          ['… from the cache', perSecond(dataLoading.cachedPerSecond)],
          ['… augmenting', perSecond(dataLoading.augmentedPerSecond)],
          ['… peak memory', mebibytes(dataLoading.peakRssMiB)],
        ] as const)
      : []),
  ]
  return [table(rows), ...(profile ? [profileText(profile)] : [])].join('\n\n')
}

function paceRows(label: string, figures: Measured<'inference'>): Row[] {
  const { imagesPerSecond, stepMs, stepMsQuartiles, steps, mfu, gflopsPerStep, peakRssMiB } = figures
  const [low, high] = stepMsQuartiles.map(ms => ms.toPrecision(4))
  return [
    [
      label,
      perSecond(imagesPerSecond),
      `${stepMs.toPrecision(4)} ms per step, quartiles ${low} and ${high}, n = ${steps}`,
    ],
    [
      '… of the matrix throughput',
      percent(mfu),
      `${gflopsPerStep.toPrecision(4)} GFLOP per step; ${beside(figures)}`,
    ],
    ['… peak memory', mebibytes(peakRssMiB)],
  ]
}

/** Three tables: by operator, by scope, and the longest of both. */
function profileText(profile: Measured<'profile'>): string {
  const lines = (entries: readonly { name: string; calls: number; ms: number }[]) =>
    table(
      entries.map(({ name, calls, ms }): Row => {
        const time = `${ms.toFixed(2)} ms`.padStart(12)
        return [name, `${percent(ms / profile.ms).padStart(7)} ${time}`, `${Math.round(calls)} nodes`]
      }),
    )
  const named = ({ op, scope, ...rest }: ProfileEntry) => ({ name: `${scope || '–'} ${op}`, ...rest })
  const outside = profile.ms - profile.entries.reduce((sum, { ms }) => sum + ms, 0)
  return [
    `a training step by operator (${profile.ms.toFixed(1)} ms with the profile, mean of ${profile.runs})`,
    lines([...sumProfile(profile, 'op'), { name: 'the runtime itself', calls: 0, ms: outside }]),
    '\nby scope',
    lines(sumProfile(profile, 'scope').map(entry => ({ ...entry, name: entry.name || '–' }))),
    '\nby scope and operator',
    lines(profile.entries.slice(0, 20).map(named)),
  ].join('\n')
}

const gflops = (value: number) => value.toFixed(0)
const mebibytes = (value: number) => `${value.toFixed(0)} MiB`
const perSecond = (value: number) => `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} images/s`
const beside = ({ gemmGflopsBefore, gemmGflopsAfter }: Beside) =>
  `${gflops(gemmGflopsBefore)} GFLOP/s before, ${gflops(gemmGflopsAfter)} after`
