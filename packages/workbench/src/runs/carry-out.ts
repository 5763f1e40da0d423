import { readdir, rm, rmdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Device, DeviceChoice } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import type { Plugin } from '../plugins/plugin.js'
import { StageLog } from '../stages/stage-log.js'
import { FolderStore } from '../store/folder-store.js'
import type { Store } from '../store/store.js'
import { checkConfiguration } from './check-configuration.js'
import { type Monitor, silent } from './monitor.js'
import type { OwnOptions } from './owner.js'
import { hasRecord } from './record-files.js'
import { RunFolder } from './run-folder.js'
import type { RunKind, RunResult } from './run-kind.js'
import { type RunKindName, runKindOf, runKinds } from './run-kinds.js'
import { type RunTiming, readTiming, writeTiming } from './timing.js'

type Plain = Record<string, unknown>

/** How a run is carried out. */
export interface CarryOutOptions {
  readonly monitor?: Monitor
  /** Stops the run in an orderly way; it can be resumed. */
  readonly signal?: AbortSignal
  /** Default: the folder `AGEB_STORE`. */
  readonly store?: Store
  /** What `loadPlugins` loaded: all that the configuration names. */
  readonly plugins?: readonly Plugin[]
}

/** A run that is done. */
export interface FinishedRun extends RunResult {
  readonly folder: RunFolder
  readonly kind: RunKindName
  /** What the configuration does not decide; null if that file is missing. */
  readonly timing: RunTiming | null
}

/** A configuration that was checked, with device and thread count filled in. */
export type ResolvedConfiguration = Plain & { readonly kind: string }

/**
 * Checks a configuration and fills in its defaults, among them this machine's device and thread count, which decide
 * the last bits: a run remembers those it began with.
 *
 * @param where the configuration is from, for messages
 * @param plugins what `loadPlugins` loaded for it
 * @throws UsageError naming the key that is wrong, or a plugin that was not loaded; InputError if the device is not there
 */
export async function resolveConfiguration(
  plain: Plain,
  where: string,
  plugins: readonly Plugin[] = [],
): Promise<ResolvedConfiguration> {
  const kind: RunKind = runKinds[runKindOf(plain.kind, where)]
  const config = checkConfiguration(kind, plain, where, plugins)
  return { ...config, ...(await onThisMachine(config)) }
}

/**
 * Carries out a new run, and releases its folder.
 *
 * @example
 * const configuration = await resolveConfiguration({ kind: 'backdoor', attack: 'badnets' }, 'here')
 * const { figures } = await startRun(await RunFolder.create('runs/first', configuration), configuration)
 * @throws InputError if data or models cannot be used; the signal's reason if it is aborted
 */
export async function startRun(
  run: RunFolder,
  configuration: ResolvedConfiguration,
  options: CarryOutOptions = {},
): Promise<FinishedRun> {
  try {
    return await carryOut(run, configuration, options)
  } catch (error) {
    if (!options.signal?.aborted) await discardIfUnused(run)
    throw error
  } finally {
    await run.release()
  }
}

/** Resumes a run, or reads the result of one that is finished. Throws as `startRun` and `RunFolder.resume`. */
export async function resumeRun(
  folder: string,
  options: CarryOutOptions & Pick<OwnOptions, 'staleSeconds'> = {},
): Promise<FinishedRun> {
  const { run, config } = await RunFolder.resume(folder, options)
  try {
    const where = run.file('config.yaml')
    return await carryOut(run, { ...config, kind: runKindOf(config.kind, where) }, options)
  } finally {
    await run.release()
  }
}

async function carryOut(
  folder: RunFolder,
  configuration: ResolvedConfiguration,
  { monitor = silent, signal, store = new FolderStore(), plugins = [] }: CarryOutOptions,
): Promise<FinishedRun> {
  const where = folder.file('config.yaml')
  const name = runKindOf(configuration.kind, where)
  const kind: RunKind = runKinds[name]
  if (await hasRecord(folder)) {
    monitor.say(`${folder.path} is already finished: this is its result`)
  } else {
    const config = checkConfiguration(kind, configuration, where, plugins)
    await folder.noteEnvironment(String(configuration.device))
    const startedAt = new Date()
    const start = performance.now()
    const stages = new StageLog({
      store,
      monitor,
      signal,
      onStage: time => folder.log({ type: 'stage', ...time }),
    })
    await folder.log({ type: 'begun', at: startedAt.toISOString() })
    const { pace } = await kind.run(
      { folder, stages, monitor, signal, plugins },
      { ...config, ...(await onThisMachine(config)) },
    )
    // The clock of the day may be set meanwhile; this one only runs on.
    const milliseconds = performance.now() - start
    await writeTiming(folder, {
      startedAt: startedAt.toISOString(),
      finishedAt: new Date(startedAt.getTime() + milliseconds).toISOString(),
      seconds: milliseconds / 1000,
      stages: stages.times,
      reused: stages.reused,
      speed: pace,
    })
  }
  const result = await kind.result(folder)
  await folder.write('metrics.json', `${JSON.stringify(result.figures, null, 2)}\n`)
  return { folder, kind: name, ...result, timing: await readTiming(folder) }
}

async function onThisMachine({
  threads = availableParallelism(),
  device,
}: {
  threads?: number | undefined
  device: DeviceChoice
}): Promise<{ threads: number; device: Device }> {
  if (device === 'cpu') return { threads, device }
  const runtime = startRuntime({ threads, device })
  try {
    return { threads, device: await runtime.device() }
  } finally {
    await runtime.close()
  }
}

/**
 * Removes a run that failed before anything was done in it (a misspelt data set, say), so that the corrected command
 * can use the same folder. Anything unexpected in the folder keeps it.
 */
async function discardIfUnused(run: RunFolder): Promise<void> {
  await run.release()
  const names = await readdir(run.path).catch(() => [])
  const made = ['config.yaml', 'environment.json', 'events.jsonl', 'inputs.json']
  const events = (await run.read('events.jsonl'))?.toString('utf8') ?? ''
  if (names.some(name => !made.includes(name)) || events.includes('"type":"stage"')) return
  for (const name of made) await rm(run.file(name), { force: true })
  await rmdir(run.path).catch(() => {})
}
