import { stat } from 'node:fs/promises'
import path from 'node:path'
import { type Attack, attacks, type ConfiguredAttack, resolveAttack } from '@ageb/lab'
import {
  assign,
  attacksOf,
  type BackdoorRunConfig,
  checkConfiguration,
  demoConfiguration,
  loadPlugins,
  type Plugin,
  readConfiguration,
  runKinds,
  UsageError,
} from '@ageb/workbench'
import type { PluginFlags } from './options.js'

type Plain = Record<string, unknown>

/**
 * A configuration with the assignments of `--set`, in order.
 *
 * @throws UsageError if one is no `path=value`, or its value is no YAML
 */
export function assignAll(plain: Plain, assignments: readonly string[] = []): Plain {
  return assignments.reduce((configuration, assignment) => {
    try {
      return assign(configuration, assignment)
    } catch (error) {
      if (error instanceof UsageError) throw error
      const reason = (error as Error).message.split('\n')[0]
      throw new UsageError(`--set ${assignment}: the value is not YAML (${reason})`)
    }
  }, plain)
}

/** What a new run begins with. */
export interface Beginning {
  /** The default folder is runs/<name>-<time>. */
  readonly name: string
  /** Where the configuration is from, for messages. */
  readonly where: string
  readonly configuration: Plain
  /** What the plugins that the configuration names are relative to; left out where there is no file. */
  readonly folder?: string
}

/** A configuration file of the user's. Throws UsageError. */
export async function beginningFrom(file: string, name = path.parse(file).name): Promise<Beginning> {
  return { name, where: file, configuration: await readConfiguration(file), folder: path.dirname(file) }
}

/**
 * What a run is begun by: a configuration file, or the name of an attack, which stands for the configuration of the demo
 * with that attack.
 * @throws UsageError if it is neither
 */
export async function beginningOf(argument: string, flags: PluginFlags): Promise<Beginning> {
  const found = await stat(argument).catch(() => undefined)
  if (found?.isFile()) return beginningFrom(argument)
  const names = (await knownAttacks(flags)).attacks.map(({ name }) => name)
  if (names.includes(argument)) {
    const demo = await beginningFrom(demoConfiguration, argument)
    return { ...demo, configuration: { ...demo.configuration, attack: argument } }
  }
  throw new UsageError(
    `'${argument}' is neither a configuration file nor an attack: check the path, or choose one of ${names.join(', ')}`,
  )
}

/** Every attack, those of the plugins that the flags name last. */
export async function knownAttacks({ plugin }: PluginFlags): Promise<{
  readonly attacks: readonly Attack[]
  readonly plugins: readonly Plugin[]
}> {
  const { plugins } = await loadPlugins({}, '--plugin', { named: plugin })
  return { attacks: [...attacks, ...attacksOf(plugins)], plugins }
}

/** Which attack, for commands that compute triggers outside a run. */
export interface AttackFlags extends PluginFlags {
  /** A configuration file; that of the demo if neither this nor `run` is given. */
  readonly config?: string
  /** A run whose configuration it is. */
  readonly run?: string
  readonly set?: readonly string[]
  /** The surrogate, in place of the configuration's. */
  readonly model?: string
}

/** The configuration of a backdoor experiment that the flags describe, and its attack. Throws UsageError. */
export async function attackSettings({
  config = demoConfiguration,
  run,
  set,
  model,
  plugin,
}: AttackFlags): Promise<{ readonly settings: BackdoorRunConfig; readonly attack: ConfiguredAttack }> {
  const file = run === undefined ? config : path.join(run, 'config.yaml')
  const plain = assignAll(await readConfiguration(file), set)
  const { configuration, plugins } = await loadPlugins(
    model === undefined ? plain : { ...plain, surrogate: model },
    file,
    { named: plugin, folder: run === undefined ? path.dirname(file) : undefined },
  )
  const settings = checkConfiguration(runKinds.backdoor, configuration, file, plugins)
  return { settings, attack: resolveAttack(settings.attack, attacksOf(plugins)) }
}
