import { type Attack, type PluginNote, type PoisoningConfig, resolveAttack } from '@ageb/lab'
import { knownAttacks, pluginOf, type Row, UsageError } from '@ageb/workbench'
import { z } from 'zod'
import type { PluginFlags } from '../../cli/options.js'
import { colors, type Outcome, table } from '../../cli/output.js'
import { topicsOf } from '../help/configuration-topics.js'

/** All that an attack's declaration says, for programs. */
export interface AttackDescription {
  readonly name: string
  readonly citation: string
  readonly url: string
  /** What the attacker controls. */
  readonly access: Attack['access']
  /** What has to be loaded for it, at its defaults. */
  readonly needs: readonly string[]
  /** What its paper says of the poisoning, where that is not all-to-one. */
  readonly poisoning: Partial<PoisoningConfig>
  readonly parameters: readonly {
    readonly name: string
    readonly type: string
    readonly default: unknown
    readonly description: string
  }[]
  /** The first one is that of the defaults. */
  readonly presets: readonly {
    readonly name: string
    readonly summary: string
    /** What differs from the defaults. */
    readonly parameters: object
    /** What differs from the attack's own poisoning. */
    readonly poisoning: object
    /** Figures, with n, seed and data; null where nothing was measured. */
    readonly measured: string | null
  }[]
  /** The module that brought it; null for the program's own. */
  readonly plugin: PluginNote | null
}

/** Every attack, in the order of the registry, those of plugins last. */
export async function listAttacks(flags: PluginFlags): Promise<Outcome> {
  const all = await describe(flags)
  return {
    data: { attacks: all },
    text: `${table(all.map(({ name, access, citation }): Row => [name, controls[access], citation]))}\n\n'ageb attack show NAME' shows one with its parameters and presets, 'ageb run NAME' carries it out.`,
  }
}

/** One attack. Throws UsageError if there is none of this name. */
export async function showAttack(name: string, flags: PluginFlags): Promise<Outcome> {
  const all = await describe(flags)
  const attack = all.find(one => one.name === name)
  if (attack) return { data: attack, text: textOf(attack) }
  const names = all.map(one => one.name).join(', ')
  throw new UsageError(`there is no attack '${name}': choose one of ${names}`)
}

const controls = { data: 'controls the data', training: 'controls the training' } as const

async function describe(flags: PluginFlags): Promise<AttackDescription[]> {
  const { attacks, plugins } = await knownAttacks(flags.plugin)
  return attacks.map(attack => {
    const { name, citation, url, access, poisoning, parameters, presets } = attack
    const needs = Object.entries(resolveAttack(name, attacks).needs).flatMap(([need, is]) => (is ? need : []))
    return {
      ...{ name, citation, url, access, needs, poisoning },
      parameters: keysOf(parameters).map(({ key, type, description, ...rest }) => ({
        ...{ name: key, type, default: rest.default, description },
      })),
      presets: Object.entries(presets).map(([preset, { summary, parameters, poisoning, measured }]) => ({
        ...{ name: preset, summary, parameters, poisoning: poisoning ?? {}, measured: measured ?? null },
      })),
      plugin: pluginOf(name, plugins) ?? null,
    }
  })
}

function keysOf(parameters: Attack['parameters']) {
  const [topic] = topicsOf('', z.toJSONSchema(parameters, { io: 'input' }))
  return topic?.keys ?? []
}

function textOf(attack: AttackDescription): string {
  const { name, citation, url, access, needs, poisoning, parameters, presets, plugin } = attack
  return [
    `${colors.bold(name)}: ${citation}, ${url}`,
    table([
      ['attacker', controls[access]],
      ['needs', needs.join(', ') || 'no model'],
      ...(Object.keys(poisoning).length > 0
        ? [['poisoning', settings('poisoning', poisoning)] as const]
        : []),
      ...(plugin ? [['plugin', plugin.name, plugin.digest] as const] : []),
    ]),
    `\n${colors.bold('Parameters')}`,
    table(
      parameters.map(
        ({ name, type, description, ...rest }): Row => [
          `attack.${name}`,
          `${type}, default ${JSON.stringify(rest.default)}`,
          description,
        ],
      ),
    ),
    `\n${colors.bold('Presets')}, as in --set attack.preset=${presets[0]?.name ?? 'NAME'}`,
    table(
      presets.flatMap(({ name, summary, parameters, poisoning, measured }): Row[] => [
        [name, summary],
        [
          '',
          [settings('attack', parameters), settings('poisoning', poisoning)].join(' ').trim() ||
            'the defaults',
        ],
        ...(measured === null ? [] : [['', `measured: ${measured}`] as const]),
      ]),
    ),
  ].join('\n')
}

/** Keys with their values, as `--set` takes them. */
function settings(under: string, values: object): string {
  return Object.entries(values)
    .map(([key, value]) => `${under}.${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
}
