import path from 'node:path'
import { type ConfiguredAttack, resolveAttack } from '@ageb/lab'
import { type BackdoorRunConfig, backdoorRunConfig } from './backdoor-config.js'
import { demoConfiguration } from './bundled.js'
import { assignAll, check, readConfiguration } from './resolve.js'

/** Where the settings of an attack are read from. */
export interface AttackSource {
  /** A configuration file of kind backdoor. Default: that of the demo. */
  readonly config?: string | undefined
  /** Folder of a run, whose configuration is taken instead of a file's. */
  readonly run?: string | undefined
  /** `path=value`, in order, in place of what the configuration says. */
  readonly set?: readonly string[] | undefined
  /** The surrogate, in place of the configuration's. */
  readonly surrogate?: string | undefined
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
 * @throws UsageError if the configuration is missing or wrong, naming the key
 */
export async function attackSettings({
  config = demoConfiguration,
  run,
  set,
  surrogate,
}: AttackSource = {}): Promise<AttackSettings> {
  const file = run === undefined ? config : path.join(run, 'config.yaml')
  const plain = assignAll(await readConfiguration(file), set)
  const settings = check(backdoorRunConfig, surrogate === undefined ? plain : { ...plain, surrogate }, file)
  return { settings, attack: resolveAttack(settings.attack) }
}
