import path from 'node:path'
import {
  assignAll,
  type Beginning,
  type FinishedRun,
  loadPlugins,
  type Plugin,
  RunFolder,
  resolveConfiguration,
  resumeRun,
  startRun,
  UsageError,
} from '@ageb/workbench'
import type { Command } from 'commander'
import { Interrupted, listenForInterruption } from './interruption.js'
import { type ColumnFlags, columnsOf, type MachineFlags, type PluginFlags } from './options.js'
import { show } from './output.js'
import { outcomeOf } from './summaries.js'
import { terminal } from './terminal.js'
import { writePictures } from './write-report.js'

/** The flags of every command that makes a run. */
export interface RunFlags extends MachineFlags, ColumnFlags, PluginFlags {
  readonly resume?: string
  readonly out?: string
  readonly set?: readonly string[]
  readonly seed?: number
  readonly data?: string
  readonly json?: boolean
}

/**
 * Makes a run or resumes one, and prints its result. If it is interrupted, the message says how to resume it.
 *
 * @param command whose options, as given on the command line, decide
 * @param begin reads the configuration of a new run; not used with --resume
 */
export async function carryOut(
  command: Command,
  flags: RunFlags,
  begin: () => Promise<Beginning>,
): Promise<void> {
  const { resume } = flags
  if (resume !== undefined) assertNothingElse(command)
  const interruption = listenForInterruption(
    'stopping after the current step; press Ctrl-C again to stop at once, without saving',
  )
  const options = { monitor: terminal, signal: interruption.signal }
  let folder = resume
  let plugins: readonly Plugin[] = []
  try {
    if (folder === undefined) {
      const beginning = await begin()
      const { where } = beginning
      const sources = { named: flags.plugin, folder: beginning.folder }
      const loaded = await loadPlugins(settingsOf(flags, beginning), where, sources)
      plugins = loaded.plugins
      const configuration = await resolveConfiguration(loaded.configuration, where, plugins)
      const run = await RunFolder.create(flags.out ?? defaultFolder(beginning.name), configuration, {
        orNumbered: flags.out === undefined,
      })
      folder = run.path
      terminal.say(`run ${folder}`)
      await finish(await startRun(run, configuration, { ...options, plugins }), flags.json)
    } else {
      terminal.say(`resuming ${folder}`)
      plugins = (await loadPlugins({}, '--plugin', { named: flags.plugin })).plugins
      await finish(await resumeRun(folder, { ...options, plugins }), flags.json)
    }
  } catch (error) {
    if (error !== interruption.signal.reason || folder === undefined) throw error
    const again = plugins.map(({ file }) => ` --plugin ${shellWord(path.relative('.', file))}`)
    throw new Interrupted(
      `interrupted: resume with 'ageb run --resume ${shellWord(folder)}${again.join('')}'`,
    )
  } finally {
    interruption.end()
  }
}

async function finish(run: FinishedRun, json: boolean | undefined): Promise<void> {
  show(outcomeOf(run, await writePictures(run.folder, run.kind)), json)
}

/** The configuration with what the flags say in place of its own keys. */
function settingsOf(flags: RunFlags, { configuration }: Beginning) {
  const { data, seed, threads, device, set } = flags
  return assignAll(
    {
      ...configuration,
      ...(data !== undefined && { dataset: data }),
      ...columnsOf(flags, configuration),
      ...(seed !== undefined && { seed }),
      ...(threads !== undefined && { threads }),
      ...(device !== undefined && { device }),
    },
    set,
  )
}

/** A run that was resumed with another configuration would be two halves of different experiments. */
function assertNothingElse(command: Command): void {
  const given = command.options.filter(
    option =>
      command.getOptionValueSource(option.attributeName()) === 'cli' &&
      !['resume', 'json', 'plugin'].includes(option.attributeName()),
  )
  const extra = command.args.length > 0 ? 'the configuration file' : given[0]?.long
  if (extra) throw new UsageError(`--resume uses the run's own configuration: leave ${extra} out`)
}

/** runs/demo-20250131-142501: UTC, so that names sort by time everywhere. */
function defaultFolder(name: string): string {
  const stamp = new Date()
    .toISOString()
    .replaceAll(/[-:]|\.\d+Z/g, '')
    .replace('T', '-')
  return path.join('runs', `${name}-${stamp}`)
}

/** A path as it can be pasted into a shell. */
function shellWord(text: string): string {
  return /^[\w./:\\-]+$/.test(text) ? text : `"${text}"`
}
