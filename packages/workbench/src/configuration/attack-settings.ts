import path from 'node:path'
import { type ConfiguredAttack, resolveAttack } from '@ageb/lab'
import { loadPlugins } from '../plugins/load-plugins.js'
import { attacksOf } from '../plugins/plugin.js'
import { checkConfiguration } from '../runs/check-configuration.js'
import { RunFolder } from '../runs/run-folder.js'
import { runKinds } from '../runs/run-kinds.js'
import type { BackdoorRunConfig } from './backdoor-config.js'
import { demoConfiguration } from './bundled.js'
import { assignAll, readConfiguration } from './resolve.js'

/** Where the settings of an attack are read from. */
export interface AttackSource {
  /** A configuration file of kind backdoor. Default: that of the demo. */
  readonly config?: string | undefined
  /** Folder of a run, whose configuration is taken instead of a file's. */
  readonly run?: string | undefined
  /** `path=value`, in order, in place of what the configuration says. */
  readonly set?: readonly string[] | undefined
  /** The surrogate, in place of the configuration's; in place of the demo's, it is the victim, too. */
  readonly surrogate?: string | undefined
  /** Modules to load, besides those that a configuration file names: paths from the current folder, or packages. */
  readonly plugins?: readonly string[] | undefined
}

/** An attack, and the configuration of a backdoor experiment that it is from. */
export interface AttackSettings {
  readonly settings: BackdoorRunConfig
  readonly attack: ConfiguredAttack
}

/**
 * Reads the settings of an attack, for work outside a run.
 *
 * @example
 * const badnets = await attackSettings({ set: ['attack=badnets', 'attack.size=4'] })
 * const { asr } = await evaluate('vit-cifar10', { attack: badnets })
 * @throws UsageError if the configuration is missing or wrong, naming the key; InputError if a run's is damaged; as
 *   `loadPlugins`
 */
export async function attackSettings({
  config,
  run,
  set,
  surrogate,
  plugins: named,
}: AttackSource = {}): Promise<AttackSettings> {
  const file = run === undefined ? (config ?? demoConfiguration) : path.join(run, 'config.yaml')
  const given = run === undefined ? await readConfiguration(file) : (await RunFolder.open(run)).config
  const victim = file === demoConfiguration ? surrogate : undefined
  const plain = assignAll(victim === undefined ? given : { ...given, victim }, set)
  const { configuration, plugins } = await loadPlugins(
    surrogate === undefined ? plain : { ...plain, surrogate },
    file,
    { named, folder: run === undefined ? path.dirname(file) : undefined },
  )
  const settings = checkConfiguration(runKinds.backdoor, configuration, file, plugins)
  return { settings, attack: resolveAttack(settings.attack, attacksOf(plugins)) }
}
