import { attacksOf, backdoorRunConfigWith, trainRunConfig } from '@ageb/workbench'
import { z } from 'zod'
import type { PluginFlags } from '../../cli/options.js'
import { colors, type Outcome } from '../../cli/output.js'
import { knownAttacks } from '../../cli/settings.js'

/** One key of a configuration, as `--set` takes it. */
export interface ConfigurationKey {
  readonly key: string
  readonly type: string
  /** Undefined where the key has none. */
  readonly default?: unknown
  readonly required: boolean
  readonly description: string
}

type Schema = z.core.JSONSchema.BaseSchema

/** Every key of every kind of configuration, those of the attacks of plugins among them. */
export async function configurationHelp(flags: PluginFlags): Promise<Outcome> {
  const { plugins } = await knownAttacks(flags)
  const kinds = {
    train: configurationKeys(trainRunConfig),
    backdoor: configurationKeys(backdoorRunConfigWith(attacksOf(plugins))),
  }
  const text = Object.entries(kinds).map(
    ([kind, keys]) => `${colors.bold(`Keys of configurations of kind ${kind}`)}\n${listing(keys)}`,
  )
  return {
    data: kinds,
    text: `${text.join('\n\n')}\n\nIn YAML, 'attack.share' is the key 'share' under 'attack'; with --set it is attack.share=0.5.`,
  }
}

/** The keys that a schema declares, nested ones by their path, in the order of declaration. */
export function configurationKeys(schema: z.ZodType): ConfigurationKey[] {
  // Of inputs: keys that have a default are then not required.
  return keysOf(z.toJSONSchema(schema, { io: 'input' }) as Schema, '')
}

function keysOf({ properties = {}, required = [] }: Schema, prefix: string): ConfigurationKey[] {
  return Object.entries(properties).flatMap(([name, property]) => {
    const schema = property as Schema
    const key = `${prefix}${name}`
    const branches = objectsOf(schema)
    if (branches.length > 0) {
      const keys = branches.flatMap(branch => keysOf(branch, `${key}.`))
      return keys.filter((one, i) => keys.findIndex(other => sameKey(one, other)) === i)
    }
    return {
      key,
      type: typeOf(schema),
      ...('default' in schema && { default: schema.default }),
      required: required.includes(name),
      description: schema.description ?? '',
    }
  })
}

/** The object that a schema describes, or those of a union; none for anything else. */
function objectsOf(schema: Schema): Schema[] {
  if (schema.properties) return [schema]
  const union = (schema.oneOf ?? schema.anyOf ?? []) as Schema[]
  return union.every(branch => branch.properties) ? union : []
}

/** Alternatives of a union share some keys: those are listed once. */
function sameKey(a: ConfigurationKey, b: ConfigurationKey): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** A type in a few words: `pixel | patch`, `integer ≥ 0`, `number 0…1`, `list of integer > 0`. */
function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return String(schema.const)
  if (schema.enum) return schema.enum.join(' | ')
  const union = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined
  if (union) return union.map(typeOf).join(' | ')
  if (schema.prefixItems) return `[${(schema.prefixItems as Schema[]).map(typeOf).join(', ')}]`
  if (schema.type === 'array') return `list of ${typeOf((schema.items ?? {}) as Schema)}`
  return `${schema.type ?? 'any'}${range(schema)}`
}

function range({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Schema): string {
  // Integers carry the largest safe one as their maximum: that says nothing.
  const top = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum
  if (minimum !== undefined && top !== undefined) return ` ${minimum}…${top}`
  const bounds = [
    minimum !== undefined && minimum !== Number.MIN_SAFE_INTEGER && ` ≥ ${minimum}`,
    exclusiveMinimum !== undefined && ` > ${exclusiveMinimum}`,
    top !== undefined && ` ≤ ${top}`,
    exclusiveMaximum !== undefined && ` < ${exclusiveMaximum}`,
  ]
  return bounds.filter(bound => bound !== false).join(',')
}

function listing(keys: readonly ConfigurationKey[]): string {
  const cells = keys.map(({ key, type, required, description, ...rest }) => [
    key,
    type,
    'default' in rest ? JSON.stringify(rest.default) : required ? '(required)' : '–',
    description,
  ])
  const widths = [0, 1, 2].map(column => Math.max(0, ...cells.map(row => row[column]!.length)))
  return cells
    .map(row =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map(line => `  ${line}`)
    .join('\n')
}
