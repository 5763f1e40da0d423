import { z } from 'zod'
import { backdoorRunConfig } from './backdoor-config.js'
import { UsageError } from './resolve.js'
import { trainRunConfig } from './train-config.js'

/** The schema of every kind of configuration. */
export const configurations = { train: trainRunConfig, backdoor: backdoorRunConfig } as const
export type ConfigurationKind = keyof typeof configurations

/** Whether a name is that of a kind of configuration. */
export function isConfigurationKind(name: string): name is ConfigurationKind {
  return Object.hasOwn(configurations, name)
}

const kinds = Object.keys(configurations).filter(isConfigurationKind)

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
    const known = kinds.join(', ')
    throw new UsageError(`there is no kind of configuration '${kind}': choose one of ${known}`)
  }
  const draft = 'https://json-schema.org/draft/2020-12/schema'
  if (kind) return { $schema: draft, title: `ageb configuration of kind ${kind}`, ...jsonSchema(kind) }
  return { $schema: draft, title: 'ageb configuration', oneOf: kinds.map(jsonSchema) }
}

/** Of one kind, without the draft's name, which stands at the root only. */
function jsonSchema(kind: ConfigurationKind): z.core.JSONSchema.BaseSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(configurations[kind], { io: 'input' })
  return schema
}
