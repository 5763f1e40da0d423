import type { Attack } from '@ageb/lab'
import { configurationSchema, runKinds } from '@ageb/workbench'
import { alternatives, type Schema, typeOf } from './key-type.js'

/** One key of a configuration, as `--set` takes it. */
export interface ConfigurationKey {
  readonly key: string
  readonly type: string
  /** Undefined where the key has none. */
  readonly default?: unknown
  readonly required: boolean
  readonly description: string
  /** The topic that explains what is under this key. */
  readonly topic?: string
}

/** A choice between groups of keys: `attack.name` decides which keys `attack` has. */
export interface Choice {
  /** The key whose value decides. */
  readonly key: string
  readonly values: readonly string[]
  /** What is chosen where the key is left out. */
  readonly default?: string
}

/** Keys that belong together: those of a kind of configuration, under one key, or of one value of a choice. */
export interface Topic {
  /** `train`, `training`, `attack`, `attack.ageb`. */
  readonly topic: string
  /** The kinds of configuration that it is part of. */
  readonly kinds: readonly string[]
  readonly description: string
  /** Of a kind: its keys; the topics below have theirs. */
  readonly keys: readonly ConfigurationKey[]
  /** Where other topics, `<topic>.<value>`, have the keys. */
  readonly choice?: Choice
  /** Where the keys are there only if `key` has this `value`. */
  readonly chosenBy?: { readonly key: string; readonly value: string; readonly default: boolean }
}

/**
 * The topics of every kind of configuration: first the kinds, then what is below their keys.
 * @param extra attacks of plugins
 */
export function configurationTopics(extra: readonly Attack[] = []): Topic[] {
  const ofKinds = Object.keys(runKinds).map(kind => topicsOf(kind, configurationSchema(kind, extra)))
  const topics = [...ofKinds.map(([first]) => first!), ...ofKinds.flatMap(([, ...below]) => below)]
  return merge(topics)
}

/** The topics of one JSON Schema: itself under the given name, then what is below its keys. */
export function topicsOf(kind: string, root: Schema): Topic[] {
  const { keys, below } = keysOf(root, { kind, key: '', topic: '' })
  return [{ topic: kind, kinds: [kind], description: root.description ?? '', keys }, ...below]
}

interface Found {
  readonly keys: ConfigurationKey[]
  readonly below: Topic[]
}

/** Where a schema is: its kind of configuration, and what its keys and topics begin with. */
interface Place {
  readonly kind: string
  readonly key: string
  readonly topic: string
}

function keysOf({ properties = {}, required = [] }: Schema, place: Place): Found {
  const found = Object.entries(properties).map(([name, property]): Found => {
    const schema = property as Schema
    const [key, topic] = [`${place.key}${name}`, `${place.topic}${name}`]
    const one = { key, topic, schema, required: required.includes(name), kind: place.kind }
    const objects = objectsOf(schema)
    const decides = discriminatorOf(schema, objects)
    if (decides !== undefined) return choiceOf(one, objects, decides)
    if (objects.length > 0) return groupOf(one, objects)
    return { keys: [keyOf(one, typeOf(schema))], below: [] }
  })
  return { keys: found.flatMap(({ keys }) => keys), below: found.flatMap(({ below }) => below) }
}

interface Property {
  readonly key: string
  readonly topic: string
  readonly schema: Schema
  readonly required: boolean
  readonly kind: string
}

function keyOf({ key, schema, required }: Property, type: string): ConfigurationKey {
  const value = { ...('default' in schema && { default: schema.default }) }
  return { key, type, ...value, required, description: schema.description ?? '' }
}

/** Keys under a key: a topic of its own. */
function groupOf(property: Property, objects: readonly Schema[]): Found {
  const { key, topic, schema, kind } = property
  const parts = objects.map(object => keysOf(object, { kind, key: `${key}.`, topic: `${topic}.` }))
  const keys = parts.flatMap(part => part.keys)
  const { default: _, ...entry } = keyOf(property, 'keys')
  const group: Topic = {
    topic,
    kinds: [kind],
    description: schema.description ?? '',
    // Alternatives without a discriminator may share some keys: those are listed once.
    keys: keys.filter((one, i) => keys.findIndex(other => same(one, other)) === i),
  }
  return { keys: [{ ...entry, topic }], below: [group, ...parts.flatMap(part => part.below)] }
}

/** A choice under a key: a topic of its own, and one for each value. */
function choiceOf(property: Property, objects: readonly Schema[], decides: string): Found {
  const { key, topic, schema, kind } = property
  const members = objects.map(object => ({ object, value: String(constantOf(object, decides)) }))
  const values = members.map(({ value }) => value)
  const byDefault = defaultOf(property, members, decides)
  const topics = members.flatMap(({ object, value }): Topic[] => {
    const { [decides]: _, ...properties } = object.properties ?? {}
    const place = { kind, key: `${key}.`, topic: `${topic}.${value}.` }
    const { keys, below } = keysOf({ ...object, properties }, place)
    const chosenBy = { key: `${key}.${decides}`, value, default: value === byDefault }
    const description = object.description ?? ''
    return [{ topic: `${topic}.${value}`, kinds: [kind], description, keys, chosenBy }, ...below]
  })
  const choice: Topic = {
    topic,
    kinds: [kind],
    description: schema.description ?? '',
    keys: [],
    choice: {
      key: `${key}.${decides}`,
      values,
      ...(byDefault !== undefined && { default: byDefault }),
    },
  }
  const { default: _, ...entry } = keyOf(property, `one of ${values.join(', ')}`)
  return { keys: [{ ...entry, topic }], below: [choice, ...topics] }
}

/** What is chosen where nothing is said: by the default of the choice, or by that of the key that decides. */
function defaultOf(
  { schema }: Property,
  members: readonly { object: Schema; value: string }[],
  decides: string,
): string | undefined {
  const given = schema.default
  if (typeof given !== 'object' || given === null) return undefined
  const named = (given as Readonly<Record<string, unknown>>)[decides]
  if (named !== undefined) return String(named)
  return members.find(({ object }) => !object.required?.includes(decides))?.value
}

/** The schema of a list's items; any other schema as it is. */
function itemOf(schema: Schema): Schema {
  return schema.type === 'array' ? ((schema.items ?? {}) as Schema) : schema
}

/** The objects among a schema's alternatives, or among those of a list's items. */
function objectsOf(schema: Schema): Schema[] {
  return alternatives(itemOf(schema)).filter(one => one.properties)
}

/** The key that has another constant in each object of a union. */
function discriminatorOf(schema: Schema, objects: readonly Schema[]): string | undefined {
  const { oneOf, anyOf } = itemOf(schema)
  const union = oneOf ?? anyOf
  // One object beside other types is no choice between objects; alone it is a union that will have more members.
  if (!union || objects.length === 0 || (objects.length === 1 && union.length > 1)) return undefined
  return Object.keys(objects[0]!.properties ?? {}).find(key => {
    const values = objects.map(object => constantOf(object, key))
    return values.every(value => typeof value === 'string') && new Set(values).size === objects.length
  })
}

function constantOf(object: Schema, key: string): unknown {
  return (object.properties?.[key] as Schema | undefined)?.const
}

/** Topics that several kinds have in common become one; topics that differ are kept separate. */
function merge(topics: readonly Topic[]): Topic[] {
  const merged: Topic[] = []
  for (const topic of topics) {
    const at = merged.findIndex(other => same({ ...other, kinds: [] }, { ...topic, kinds: [] }))
    if (at < 0) merged.push(topic)
    else merged[at] = { ...merged[at]!, kinds: [...merged[at]!.kinds, ...topic.kinds] }
  }
  return merged
}

function same(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
