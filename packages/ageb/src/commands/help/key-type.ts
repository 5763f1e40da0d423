import type { z } from 'zod'

/** A part of a JSON Schema, as zod writes it. */
export type Schema = z.core.JSONSchema.BaseSchema

/** The alternatives of a schema; the schema alone where it has none. */
export function alternatives(schema: Schema): Schema[] {
  return (schema.oneOf ?? schema.anyOf ?? [schema]) as Schema[]
}

/** A type in a few words: `pixel | patch`, `integer ≥ 0`, `number 0…1`, `list of integer > 0`. */
export function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return String(schema.const)
  if (schema.enum) return schema.enum.join(' | ')
  if (schema.oneOf ?? schema.anyOf) return alternatives(schema).map(typeOf).join(' | ')
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
