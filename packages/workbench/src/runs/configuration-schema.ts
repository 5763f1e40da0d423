import { type Attack, attacks } from '@ageb/lab'
import { z } from 'zod'
import { UsageError } from '../configuration/resolve.js'
import { isRunKind, type RunKindName, runKinds } from './run-kinds.js'

type Schema = z.core.JSONSchema.BaseSchema

/**
 * JSON Schema (draft 2020-12) of configuration files, for editors and other programs.
 *
 * It describes what may be written: keys that have a default are not required, an attack may be given by its name
 * alone or with a preset. Rules that join several keys (a divisor, an odd number) are checked only when a
 * configuration is read.
 *
 * @param kind one kind only. Default: all kinds, distinguished by the key `kind`
 * @param extra attacks of plugins
 * @throws UsageError if there is no such kind
 */
export function configurationSchema(kind?: string, extra: readonly Attack[] = []): Schema {
  if (kind !== undefined && !isRunKind(kind)) {
    const known = kinds.join(', ')
    throw new UsageError(`there is no kind of configuration '${kind}': choose one of ${known}`)
  }
  const draft = 'https://json-schema.org/draft/2020-12/schema'
  if (kind) return { $schema: draft, title: `ageb configuration of kind ${kind}`, ...schemaOf(kind, extra) }
  return { $schema: draft, title: 'ageb configuration', oneOf: kinds.map(one => schemaOf(one, extra)) }
}

const kinds = Object.keys(runKinds).filter(isRunKind)

/** Of one kind, without the draft's name, which stands at the root only. */
function schemaOf(kind: RunKindName, extra: readonly Attack[]): Schema {
  const { $schema: _, ...schema } = z.toJSONSchema(runKinds[kind].config(extra), { io: 'input' })
  const { attack, plugins } = schema.properties ?? {}
  if (typeof attack !== 'object' || typeof plugins !== 'object') return schema
  const written = {
    attack: withShorthands(attack, [...attacks, ...extra]),
    // Notes of plugins are for runs, which write them.
    plugins: { ...plugins, items: { type: 'string' } },
  }
  return { ...schema, properties: { ...schema.properties, ...written } } as Schema
}

/** The schema of an attack with what is expanded before it is checked: a name alone, no name, and presets. */
function withShorthands({ oneOf = [], ...rest }: Schema, known: readonly Attack[]): Schema {
  const names = known.map(({ name }) => name)
  const standard = rest.default === undefined ? undefined : nameOf(rest.default)
  const members = oneOf.map(member => {
    const { properties = {}, required = [], ...others } = member as Schema
    const { name, ...parameters } = properties
    const value = typeof name === 'object' ? String(name.const) : ''
    const presets = Object.keys(known.find(attack => attack.name === value)?.presets ?? {})
    const preset = {
      enum: presets,
      description: 'stands for the parameters of a preset; keys beside it take precedence',
    }
    return {
      ...others,
      properties: { name: name ?? {}, preset, ...parameters },
      required: value === standard ? required.filter(key => key !== 'name') : required,
    }
  })
  return { ...rest, oneOf: [...members, { enum: names, description: 'the attack with its defaults' }] }
}

function nameOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('name' in value)) return attacks[0]?.name
  return String(value.name)
}
