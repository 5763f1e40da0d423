import path from 'node:path'
import { RunFolder, UsageError } from '@ageb/workbench'
import type { Command } from 'commander'
import { Interrupted, listenForInterruption } from './interruption.js'
import { type ColumnFlags, columnsOf, type MachineFlags } from './options.js'
import { show } from './output.js'
import { runKind } from './run-kinds.js'
import { assignAll } from './settings.js'
import { terminal } from './terminal.js'

/** The flags of every command that makes a run. */
export interface RunFlags extends MachineFlags, ColumnFlags {
  readonly resume?: string
  readonly out?: string
  readonly set?: readonly string[]
  readonly seed?: number
  readonly data?: string
  readonly json?: boolean
}

/** What a new run begins with. */
export interface Beginning {
  /** The default folder is runs/<name>-<time>. */
  readonly name: string
  /** Where the configuration is from, for messages. */
  readonly where: string
  readonly configuration: Record<string, unknown>
}

/**
 * Makes a run, or goes on with one, and prints its result. Interrupted, it says how to go on.
 *
 * @param command whose options, as given on the command line, decide
 * @param begin reads the configuration of a new run; not called with --resume
 */
export async function carryOut(
  command: Command,
  flags: RunFlags,
  begin: () => Promise<Beginning>,
): Promise<void> {
  const resumed = flags.resume !== undefined
  const { run, kind, configuration } = resumed
    ? await openRun(command, flags.resume)
    : await createRun(flags, await begin())
  const interruption = listenForInterruption(
    'stopping after the step under way; once more to stop at once, without saving',
  )
  try {
    terminal.say(`${resumed ? 'going on with' : 'run'} ${run.path}`)
    show(await kind.carryOut(run, configuration, terminal, interruption.signal), flags.json)
  } catch (error) {
    if (error === interruption.signal.reason) {
      throw new Interrupted(`interrupted: go on with 'ageb run --resume ${shellWord(run.path)}'`)
    }
    if (!resumed) await discardIfUnused(run)
    throw error
  } finally {
    interruption.end()
  }
}

async function createRun(flags: RunFlags, { name, where, configuration }: Beginning) {
  const { data, seed, threads, device } = flags
  const plain = assignAll(
    {
      ...configuration,
      ...(data !== undefined && { dataset: data }),
      ...columnsOf(flags, configuration),
      ...(seed !== undefined && { seed }),
      ...(threads !== undefined && { threads }),
      ...(device !== undefined && { device }),
    },
    flags.set,
  )
  const kind = await runKind(plain.kind, where)
  const checked = await kind.check(plain, where)
  const run = await RunFolder.create(flags.out ?? defaultFolder(name), checked)
  return { run, kind, configuration: checked }
}

async function openRun(command: Command, folder: string | undefined) {
  // A run that went on with another configuration would be two halves of different experiments.
  const given = command.options.filter(
    option =>
      command.getOptionValueSource(option.attributeName()) === 'cli' &&
      !['resume', 'json'].includes(option.attributeName()),
  )
  const extra = command.args.length > 0 ? 'the configuration file' : given[0]?.long
  if (extra) throw new UsageError(`--resume goes on with the run's own configuration: leave ${extra} out`)
  const { run, config } = await RunFolder.open(folder!)
  const where = run.file('config.yaml')
  return { run, kind: await runKind(config.kind, where), configuration: config }
}

/** runs/demo-20250131-142501: UTC, so that names sort by time everywhere. */
function defaultFolder(name: string): string {
  const stamp = new Date()
    .toISOString()
    .replaceAll(/[-:]|\.\d+Z/g, '')
    .replace('T', '-')
  return path.join('runs', `${name}-${stamp}`)
}

/**
 * Removes a run that failed before anything was done in it (a misspelt data set, say), so that the corrected
 * command can use the same folder. Anything unexpected in the folder keeps it.
 */
async function discardIfUnused(run: RunFolder): Promise<void> {
  const { readdir, rm, rmdir } = await import('node:fs/promises')
  const list = (folder: string) => readdir(folder).catch(() => [])
  const names = await list(run.path)
  const made = ['config.yaml', 'environment.json', 'state']
  if (names.some(name => !made.includes(name)) || (await list(run.file('state'))).length > 0) return
  for (const name of ['config.yaml', 'environment.json']) await rm(run.file(name), { force: true })
  await rmdir(run.file('state')).catch(() => {})
  await rmdir(run.path).catch(() => {})
}

/** A path as it can be pasted into a shell. */
function shellWord(text: string): string {
  return /^[\w./:\\-]+$/.test(text) ? text : `"${text}"`
}
