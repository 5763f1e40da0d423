import { type Attack, attacks } from '@ageb/lab'
import { loadPlugins } from './load-plugins.js'
import { attacksOf, type Plugin } from './plugin.js'

/**
 * Every attack: the program's own, and then those of plugins.
 *
 * @example
 * const { attacks } = await knownAttacks(['./my-attack.js'])
 * @param modules paths from the current folder, or packages
 * @throws as `loadPlugins`
 */
export async function knownAttacks(modules?: readonly string[]): Promise<{
  readonly attacks: readonly Attack[]
  readonly plugins: readonly Plugin[]
}> {
  const { plugins } = await loadPlugins({}, '--plugin', { named: modules })
  return { attacks: [...attacks, ...attacksOf(plugins)], plugins }
}
