import type { Attack, PluginNote } from '@ageb/lab'
import type { Device, DeviceChoice } from 'onnxgrad'
import type { z } from 'zod'
import type { Plugin } from '../plugins/plugin.js'
import type { StageLog } from '../stages/stage-log.js'
import type { TrainingPace } from '../stages/training-pace.js'
import type { Row } from './format.js'
import type { Monitor } from './monitor.js'
import type { RunFolder } from './run-folder.js'

/** What the work of a run is given. */
export interface RunContext {
  readonly folder: RunFolder
  readonly stages: StageLog
  readonly monitor: Monitor
  /** Stops the work in an orderly way. */
  readonly signal: AbortSignal | undefined
  readonly plugins: readonly Plugin[]
}

/** What a run found. */
export interface RunResult {
  /** Flat, for machines; rates are from 0 to 1. */
  readonly figures: Readonly<Record<string, unknown>>
  /** The same for people. */
  readonly summary: readonly Row[]
}

/** What the `kind` of a configuration stands for. */
export interface RunKind<C extends RunConfiguration = RunConfiguration> {
  readonly kind: string
  /** The configuration; its defaults are filled in. @param attacks of plugins */
  config(attacks: readonly Attack[]): z.ZodType<C>
  /** Does the work, and leaves the record in the run's folder: last of all `record.json`. */
  run(context: RunContext, config: OnMachine<C>): Promise<{ readonly pace: TrainingPace }>
  /** What a finished run found: a function of its record. Throws InputError if that is damaged. */
  result(folder: RunFolder): Promise<RunResult>
}

/** What every configuration has. */
export interface RunConfiguration {
  readonly kind: string
  readonly seed: number
  readonly threads?: number | undefined
  readonly device: DeviceChoice
  readonly plugins?: readonly (string | PluginNote)[] | undefined
}

/** A configuration in which device and thread count are those of a machine. */
export type OnMachine<C> = C & { readonly threads: number; readonly device: Device }
