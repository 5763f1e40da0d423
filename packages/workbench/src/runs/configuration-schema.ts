import { z } from 'zod'
import { UsageError } from '../configuration/resolve.js'
import { isRunKind, type RunKindName, runKinds } from './run-kinds.js'

const kinds = Object.keys(runKinds).filter(isRunKind)

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
  if (kind !== undefined && !isRunKind(kind)) {
    const known = kinds.join(', ')
    throw new UsageError(`there is no kind of configuration '${kind}': choose one of ${known}`)
  }
  const draft = 'https://json-schema.org/draft/2020-12/schema'
  if (kind) return { $schema: draft, title: `ageb configuration of kind ${kind}`, ...jsonSchema(kind) }
  return { $schema: draft, title: 'ageb configuration', oneOf: kinds.map(jsonSchema) }
}

/** Of one kind, without the draft's name, which stands at the root only. */
function jsonSchema(kind: RunKindName): z.core.JSONSchema.BaseSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(runKinds[kind].config, { io: 'input' })
  return schema
}
