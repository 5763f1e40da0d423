import { attacks, families } from '@ageb/lab'

/** Parameters under a name, and what was measured with them. */
export interface Preset {
  readonly name: string
  readonly summary: string
  readonly parameters?: object
  /** Figures by their name: `{ asr: 0.99 }`. */
  readonly measured?: Readonly<Record<string, unknown>>
}

/** What a declaration says beside its parameters. */
export interface Declared {
  readonly summary?: string
  readonly citation?: string
  readonly url?: string
  readonly presets?: readonly Preset[]
}

/** By the key that they are chosen under, and their name. */
const declarations: Readonly<Record<string, Readonly<Record<string, Declared>>>> = {
  attack: attacks,
  model: families,
}

/** What the attack or the model family that a topic like `attack.ageb` stands for says of itself. */
export function declaredBy(topic: string): Declared {
  const [key = '', name = '', ...more] = topic.split('.')
  const { summary, citation, url, presets } = (more.length === 0 && declarations[key]?.[name]) || {}
  return {
    ...(summary !== undefined && { summary }),
    ...(citation !== undefined && { citation }),
    ...(url !== undefined && { url }),
    ...(presets !== undefined && { presets }),
  }
}
