import { type Attack, attacks, families } from '@ageb/lab'

/** Parameters under a name, and what was measured with them. */
export interface Preset {
  readonly summary: string
  /** What differs from the defaults. */
  readonly parameters: object
  /** What differs from the usual poisoning. */
  readonly poisoning?: object
  /** Figures, with n, seed and data. */
  readonly measured?: string
}

/** What a declaration says beside its parameters. */
export interface Declared {
  readonly summary?: string
  readonly citation?: string
  readonly url?: string
  /** What the attacker controls. */
  readonly access?: 'data' | 'training'
  /** By name. */
  readonly presets?: Readonly<Record<string, Preset>>
}

/** By the key that they are chosen under, and their name. */
function declarations(
  extra: readonly Attack[],
): Readonly<Record<string, Readonly<Record<string, Declared>>>> {
  return {
    attack: Object.fromEntries([...attacks, ...extra].map(attack => [attack.name, attack])),
    model: families,
  }
}

/**
 * What the attack or the model family that a topic like `attack.ageb` stands for says of itself.
 * @param extra attacks of plugins
 */
export function declaredBy(topic: string, extra: readonly Attack[] = []): Declared {
  const [key = '', name = '', ...more] = topic.split('.')
  const { summary, citation, url, access, presets } =
    (more.length === 0 && declarations(extra)[key]?.[name]) || {}
  return {
    ...(summary !== undefined && { summary }),
    ...(citation !== undefined && { citation }),
    ...(url !== undefined && { url }),
    ...(access !== undefined && { access }),
    ...(presets !== undefined && { presets }),
  }
}
