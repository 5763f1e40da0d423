import { InputError } from 'onnxgrad'
import { z } from 'zod'
import type { Json } from '../../digest.js'
import type { PrepareContext, TriggerContext } from './context.js'
import type { ImageProgram } from './image-program.js'
import type { PoisonContext, PoisonPlan } from './poison-plan.js'
import type { PoisoningConfig } from './poisoning.js'
import type { Prepared } from './prepared.js'

/** What has to be loaded for an attack. */
export interface AttackNeeds {
  /** A pre-trained model to compute triggers with. */
  readonly surrogate?: boolean
}

/** Parameters under a name: those of a paper, or those that were measured to work. */
export interface Preset<Shape extends z.ZodRawShape = z.ZodRawShape> {
  readonly summary: string
  /** What differs from the defaults. */
  readonly parameters: Partial<z.input<z.ZodObject<Shape>>>
  /** What differs from the attack's own `poisoning`. */
  readonly poisoning?: Partial<PoisoningConfig>
  /** Figures that were measured with it: with n, seed and data. */
  readonly measured?: string
}

/** What all shapes of an attack say of it. */
export interface AttackFacts<N extends string = string> {
  /** As configurations name it. */
  readonly name: N
  /** Title and venue of the paper. */
  readonly citation: string
  readonly url: string
  /** Raised by hand when equal parameters come to give other images: results stored of older versions are then not reused. */
  readonly version: number
  /** What the attacker controls: the training data, or the whole training. */
  readonly access: 'data' | 'training'
}

/** An attack as it is written down: see `defineAttack`. */
export interface AttackDefinition<N extends string, Shape extends z.ZodRawShape> extends AttackFacts<N> {
  /** A `z.strictObject` whose every key has a description and a default; the defaults are what works here. */
  readonly parameters: z.ZodObject<Shape, z.core.$strict>
  /** The first one is that of the defaults: its `parameters` are {}. */
  readonly presets: Readonly<Record<string, Preset<Shape>>>
  /** How its paper poisons, where that is not all-to-one. */
  readonly poisoning?: Partial<PoisoningConfig>
  /** Parameters that the conformance suite runs, by a name for each. */
  readonly cases: Readonly<Record<string, Partial<z.input<z.ZodObject<Shape>>>>>
  /** Default: nothing. */
  needs?(parameters: z.output<z.ZodObject<Shape>>): AttackNeeds
  /** Makes once what `poison` and `trigger` share, a pattern or a warp field; it is stored. Default: nothing. */
  prepare?(context: PrepareContext, parameters: z.output<z.ZodObject<Shape>>): Promise<Prepared>
  /** Training time: which images are changed how, and what they are called. `planOf` composes most of them. */
  poison(
    context: PoisonContext,
    parameters: z.output<z.ZodObject<Shape>>,
    prepared: Prepared,
  ): Promise<PoisonPlan>
  /** Test time; need not equal what `poison` does. */
  trigger(context: TriggerContext, parameters: z.output<z.ZodObject<Shape>>, prepared: Prepared): ImageProgram
}

/** An attack with its parameters: what everything else works with, whatever the attack. */
export interface ConfiguredAttack extends AttackFacts {
  /** All of them, defaults filled in. */
  readonly parameters: Readonly<Record<string, Json>>
  readonly needs: AttackNeeds
  /** Whether there is something to prepare: without it, nothing can be said of the trigger. */
  readonly prepares: boolean
  /** What `poison` and `trigger` take: to be made once and stored. */
  prepare(context: PrepareContext): Promise<Prepared>
  poison(context: PoisonContext, prepared: Prepared): Promise<PoisonPlan>
  trigger(context: TriggerContext, prepared: Prepared): ImageProgram
}

/** The configuration of one attack: its name, then its parameters. */
export type ConfigOf<N extends string, Shape extends z.ZodRawShape> = z.ZodObject<
  { name: z.ZodLiteral<N> } & Shape,
  z.core.$strict
>

/** An attack to choose parameters for. */
export interface Attack<N extends string = string, Shape extends z.ZodRawShape = z.ZodRawShape>
  extends AttackFacts<N> {
  readonly parameters: z.ZodObject<Shape, z.core.$strict>
  readonly config: ConfigOf<N, Shape>
  readonly presets: Readonly<Record<string, Preset<Shape>>>
  readonly poisoning: Partial<PoisoningConfig>
  readonly cases: Readonly<Record<string, Partial<z.input<z.ZodObject<Shape>>>>>
  /** @throws InputError if a parameter is unknown or out of range, naming it. */
  configure(parameters: Partial<z.input<z.ZodObject<Shape>>>): ConfiguredAttack
}

const json = z.record(z.string(), z.json())

/** Declares an attack. */
export function defineAttack<const N extends string, Shape extends z.ZodRawShape>(
  definition: AttackDefinition<N, Shape>,
): Attack<N, Shape> {
  const { name, citation, url, version, access, parameters, presets, poisoning = {}, cases } = definition
  const facts = { name, citation, url, version, access }
  return {
    ...facts,
    parameters,
    config: z.strictObject({ name: z.literal(name), ...parameters.shape }),
    presets,
    poisoning,
    cases,
    configure(given) {
      const chosen = check(name, parameters, given)
      return {
        ...facts,
        parameters: json.parse(chosen),
        needs: definition.needs?.(chosen) ?? {},
        prepares: definition.prepare !== undefined,
        prepare: async context => (await definition.prepare?.(context, chosen)) ?? {},
        poison: (context, prepared) => definition.poison(context, chosen, prepared),
        trigger: (context, prepared) => definition.trigger(context, chosen, prepared),
      }
    },
  }
}

function check<Shape extends z.ZodRawShape>(
  name: string,
  schema: z.ZodObject<Shape, z.core.$strict>,
  given: unknown,
): z.output<z.ZodObject<Shape, z.core.$strict>> {
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schema.shape).join(', ') || 'none'
    throw new InputError(`attack: ${name} has no parameter '${issue.keys[0]}'; it has ${known}`)
  }
  throw new InputError(`attack.${issue.path.join('.')}: ${issue.message}`)
}
