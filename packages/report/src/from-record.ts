import {
  type BackdoorPredictions,
  type BackdoorRecord,
  confusionOf,
  evaluateBackdoor,
  type TrainingCurve,
} from '@ageb/lab'
import { stringify } from 'yaml'
import type { ReportInput } from './report-input.js'

/** Everything that a report of a backdoor experiment is made from. */
export interface RecordedExperiment {
  readonly record: BackdoorRecord
  readonly predictions: BackdoorPredictions
  readonly curves: readonly TrainingCurve[]
  readonly gallery: readonly {
    readonly index: number
    readonly pictures: readonly { readonly name: string; readonly png: Uint8Array }[]
  }[]
  /** What the record does not decide; null where it was lost. */
  readonly timing: ExperimentTiming | null
  /** Versions, device, processor; null where it was lost. */
  readonly environment: Readonly<Record<string, string>> | null
}

export interface ExperimentTiming {
  /** ISO 8601. */
  readonly startedAt: string
  readonly finishedAt: string
  readonly stages: readonly { readonly stage: string; readonly reused: boolean; readonly seconds: number }[]
  readonly speed: {
    readonly imagesPerSecond?: number
    readonly gflopsPerStep?: number
    readonly mfu?: number
    readonly gemmGflops: number
  }
}

/** What `renderReport` shows of an experiment, from its record alone. */
export function reportInput(experiment: RecordedExperiment): ReportInput {
  const { record, predictions, curves, timing, environment } = experiment
  const { attack, data, models, poisoning, configuration } = record
  const { rates, cleanCda, cleanAsr, differences } = evaluateBackdoor(predictions)
  const name = attack.name.toUpperCase()
  const surrogate = models.surrogate ? `surrogate ${models.surrogate.name}, ` : ''
  return {
    title: `${name} on ${data.name}`,
    subtitle: `${surrogate}victim ${models.victim.name}, seed ${String(configuration.seed)}`,
    attack: { name, citation: attack.citation, url: attack.url },
    warning:
      'The backdoored model and the triggered images of this run were poisoned on purpose, for research on defenses.',
    rates,
    cleanCda,
    cleanAsr,
    differences,
    stealth: record.stealth,
    poisoning: {
      rate: poisoning.rate,
      count: poisoning.count,
      target: poisoning.goal,
      mode: poisoning.mode,
      cover: poisoning.cover,
      ...(record.effects && { unchanged: record.effects }),
      ...(models.surrogate?.resampling && { resizing: resizingOf(models.surrogate) }),
    },
    training: curves,
    gallery: galleryOf(experiment),
    confusion: { classNames: data.classNames, ...confusionOf(predictions, data.classNames.length) },
    data: {
      name: data.name,
      splits: { [data.train.split]: data.train.count, [data.test.split]: data.test.count },
      notes: data.notes,
    },
    configuration: stringify(configuration),
    environment: environment ?? { ...record.environment, threads: String(record.environment.threads) },
    speed: timing ? speedOf(timing) : {},
    command: `npx ageb run config.yaml${attack.plugin ? ` --plugin ${attack.plugin.name}` : ''}`,
    startedAt: timing?.startedAt ?? '',
    finishedAt: timing?.finishedAt ?? '',
  }
}

function resizingOf({ imageSize, resampling }: NonNullable<BackdoorRecord['models']['surrogate']>): string {
  return `to ${imageSize}×${imageSize}, ${resampling}, within the trigger`
}

function galleryOf({ record, predictions, gallery }: RecordedExperiment): ReportInput['gallery'] {
  const { classNames } = record.data
  const { label, goal, victimTriggered, twinTriggered } = predictions
  return gallery.map(({ index, pictures }) => ({
    label: classNames[label[index]!]!,
    victimPredicts: classNames[victimTriggered[index]!]!,
    twinPredicts: classNames[twinTriggered[index]!]!,
    ...(record.poisoning.mode === 'all-to-all' && { target: classNames[goal[index]!]! }),
    images: pictures,
  }))
}

function speedOf({ speed, stages }: ExperimentTiming): Record<string, string> {
  const { imagesPerSecond, gflopsPerStep, mfu, gemmGflops } = speed
  return {
    ...(imagesPerSecond !== undefined &&
      gflopsPerStep !== undefined && {
        'fine-tuning': `${imagesPerSecond.toFixed(0)} images/s, ${gflopsPerStep.toFixed(1)} GFLOP per step`,
      }),
    ...(mfu !== undefined && {
      'share of matrix throughput': `${(100 * mfu).toFixed(0)} % of ${gemmGflops.toFixed(0)} GFLOP/s`,
    }),
    ...Object.fromEntries(
      stages
        .filter(({ seconds }) => seconds >= 1)
        .map(({ stage, seconds, reused }) => [
          stage,
          `${seconds.toFixed(0)} s${reused ? ', done earlier' : ''}`,
        ]),
    ),
  }
}
