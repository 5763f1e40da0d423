import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { Attack, ConfiguredAttack } from './core/define-attack.js'
import type { PoisoningConfig } from './core/poisoning.js'
import * as registry from './registry.js'

/** Every attack of this package. */
export const attacks = Object.values(registry)

/** The attack of a configuration that names none. */
const standard = registry.ageb

const others = attacks.filter(attack => attack !== standard)

/**
 * An attack's name with its parameters beside it. The name alone is enough; `preset` stands for the parameters of one.
 *
 * @example attackConfig.parse('badnets'), attackConfig.parse({ name: 'ageb', preset: 'paper', share: 0.1 })
 */
export const attackConfig = spelledOut(
  [],
  z.discriminatedUnion('name', [standard.config, ...others.map(attack => attack.config)]),
)

/** `attackConfig` with attacks of plugins beside the package's own. */
export function attackConfigWith(extra: readonly Attack[]) {
  const known: readonly Attack[] = [...others, ...extra]
  return spelledOut(
    extra,
    z.discriminatedUnion('name', [standard.config, ...known.map(attack => attack.config)]),
  )
}

/** A schema of attacks that also takes a name alone, and `preset`. */
function spelledOut<T extends z.ZodType>(extra: readonly Attack[], schema: T) {
  return z.preprocess((value, context) => {
    try {
      return expandAttack(value, extra).attack
    } catch (error) {
      if (!(error instanceof InputError)) throw error
      context.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
  }, schema)
}

export type AttackConfig = z.output<typeof attackConfig>

type Plain = Readonly<Record<string, unknown>>

/**
 * A plain configuration of an attack with its name and its preset's parameters spelled out; keys that are given win.
 * Beside it, what the attack and the preset say of the poisoning.
 *
 * @param extra attacks of plugins.
 * @throws InputError if there is no such attack or preset, with those that there are.
 */
export function expandAttack(
  config: unknown,
  extra: readonly Attack[] = [],
): { readonly attack: Plain & { readonly name: string }; readonly poisoning: Partial<PoisoningConfig> } {
  const { name = standard.name, preset, ...given } = plainOf(config)
  const attack = attackNamed(name, extra)
  if (preset === undefined) return { attack: { name: attack.name, ...given }, poisoning: attack.poisoning }
  const chosen = Object.entries(attack.presets).find(([known]) => known === preset)?.[1]
  if (!chosen)
    throw new InputError(
      `${attack.name} has no preset ${quoted(preset)}: choose one of ${Object.keys(attack.presets).join(', ')}`,
    )
  return {
    attack: { name: attack.name, ...chosen.parameters, ...given },
    poisoning: { ...attack.poisoning, ...chosen.poisoning },
  }
}

/**
 * A plain configuration with an attack and a poisoning in which all is spelled out that the attack's name, its preset and
 * its paper say of both; keys that are given win. One whose attack cannot be told is left as it is, for a schema to refuse.
 */
export function expandPoisoning(config: unknown, extra: readonly Attack[] = []): unknown {
  if (!isPlain(config)) return config
  try {
    const { attack, poisoning } = expandAttack(config.attack ?? {}, extra)
    const given = config.poisoning ?? {}
    return { ...config, attack, poisoning: isPlain(given) ? { ...poisoning, ...given } : given }
  } catch (error) {
    if (error instanceof InputError) return config
    throw error
  }
}

/**
 * The attack that a plain configuration describes.
 *
 * @param extra attacks of plugins.
 * @throws InputError if there is no such attack or preset, or a parameter is unknown or out of range.
 */
export function resolveAttack(config: unknown, extra: readonly Attack[] = []): ConfiguredAttack {
  const { name, ...parameters } = expandAttack(config, extra).attack
  return attackNamed(name, extra).configure(parameters)
}

/**
 * What a plugin exports, as an attack.
 * @param where the module's name, for messages.
 * @throws InputError if it is none, naming what is wrong with it.
 */
export function asAttack(value: unknown, where: string): Attack {
  const fault = faultOf(value)
  if (fault === undefined && isAttack(value)) return value
  throw new InputError(`${where} exports no attack: ${fault}; declare it with defineAttack of @ageb/lab`)
}

function isAttack(value: unknown): value is Attack {
  return faultOf(value) === undefined
}

function faultOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return `it is ${value === null ? 'null' : typeof value}`
  const expected: Readonly<Record<keyof Attack, string>> = {
    name: 'string',
    citation: 'string',
    url: 'string',
    version: 'number',
    access: 'string',
    parameters: 'object',
    config: 'object',
    presets: 'object',
    poisoning: 'object',
    cases: 'object',
    configure: 'function',
  }
  for (const [key, type] of Object.entries(expected)) {
    const came = key in value ? typeof Reflect.get(value, key) : 'missing'
    if (came !== type) return `its '${key}' is ${came === 'missing' ? came : `a ${came}, not a ${type}`}`
  }
  return undefined
}

function attackNamed(name: unknown, extra: readonly Attack[]): Attack {
  const known = [...new Set<Attack>([...attacks, ...extra])]
  const [attack, another] = known.filter(attack => attack.name === name)
  if (another) throw new InputError(`two attacks are named ${quoted(name)}: give the plugin's another name`)
  if (attack) return attack
  const names = known.map(({ name }) => name).join(', ')
  throw new InputError(`there is no attack ${quoted(name)}: choose one of ${names}`)
}

function plainOf(config: unknown): Plain {
  if (typeof config === 'string') return { name: config }
  if (isPlain(config)) return config
  throw new InputError(
    `an attack is given by its name, or by its parameters under 'attack', not by ${quoted(config)}`,
  )
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const quoted = (value: unknown) => (typeof value === 'string' ? `'${value}'` : JSON.stringify(value))
