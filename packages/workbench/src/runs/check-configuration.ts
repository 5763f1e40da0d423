import { check } from '../configuration/resolve.js'
import { assertLoaded, attacksOf, type Plugin } from '../plugins/plugin.js'
import type { RunConfiguration, RunKind } from './run-kind.js'

/**
 * Checks a configuration of a kind of run and fills in its defaults.
 *
 * @param where the configuration is from, for messages
 * @param plugins that were loaded: all that the configuration names
 * @throws UsageError naming the key that is wrong, or a plugin that was not loaded or has changed
 */
export function checkConfiguration<C extends RunConfiguration>(
  kind: RunKind<C>,
  configuration: Record<string, unknown>,
  where: string,
  plugins: readonly Plugin[] = [],
): C {
  assertLoaded(configuration.plugins, plugins, where)
  return check(kind.config(attacksOf(plugins)), configuration, where)
}
