import { z } from 'zod'
import { backdoorRunConfig } from './backdoor-config.js'
import { UsageError } from './resolve.js'
import { trainRunConfig } from './train-config.js'

/** The schema of every kind of configuration. */
export const configurations = { train: trainRunConfig, backdoor: backdoorRunConfig } as const
export type ConfigurationKind = keyof typeof configurations

const anyConfiguration = z.discriminatedUnion('kind', [trainRunConfig, backdoorRunConfig])

/** Whether a name is that of a kind of configuration. */
export function isConfigurationKind(name: string): name is ConfigurationKind {
  return Object.hasOwn(configurations, name)
}

/**
 * JSON Schema (draft 2020-12) of configuration files, for editors and other programs.
 *
 * It describes what may be written: keys that have a default are not required. Rules that join several keys (a
 * divisor, an odd number) are checked only when a configuration is read.
 *
 * @param kind one kind only. Default: all kinds, distinguished by the key `kind`
 * @throws UsageError if there is no such kind
 */
export function configurationSchema(kind?: string): z.core.JSONSchema.BaseSchema {
  if (kind !== undefined && !isConfigurationKind(kind)) {
    const known = Object.keys(configurations).join(', ')
    throw new UsageError(`there is no kind of configuration '${kind}': choose one of ${known}`)
  }
  const title = kind ? `ageb configuration of kind ${kind}` : 'ageb configuration'
  return { title, ...z.toJSONSchema(kind ? configurations[kind] : anyConfiguration, { io: 'input' }) }
}
