import { stat } from 'node:fs/promises'
import path from 'node:path'
import { knownAttacks } from '../plugins/known-attacks.js'
import { demoConfiguration } from './bundled.js'
import { readConfiguration, UsageError } from './resolve.js'

/** What a new run begins with. */
export interface Beginning {
  /** That of the file without its ending, or of the attack. */
  readonly name: string
  /** Where the configuration is from, for messages. */
  readonly where: string
  readonly configuration: Record<string, unknown>
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
 *
 * @example
 * const { configuration, where } = await beginningOf('badnets')
 * const resolved = await resolveConfiguration(assignAll(configuration, ['seed=3']), where)
 * @param modules plugins that may bring the attack: paths from the current folder, or packages
 * @throws UsageError if it is neither
 */
export async function beginningOf(argument: string, modules?: readonly string[]): Promise<Beginning> {
  const found = await stat(argument).catch(() => undefined)
  if (found?.isFile()) return beginningFrom(argument)
  const names = (await knownAttacks(modules)).attacks.map(({ name }) => name)
  if (names.includes(argument)) {
    const demo = await beginningFrom(demoConfiguration, argument)
    return { ...demo, configuration: { ...demo.configuration, attack: argument } }
  }
  throw new UsageError(
    `'${argument}' is neither a configuration file nor an attack: check the path, or choose one of ${names.join(', ')}`,
  )
}
