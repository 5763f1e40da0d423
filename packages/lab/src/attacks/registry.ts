import { z } from 'zod'
import { ageb } from './ageb/ageb.js'

/** Every attack, by name. */
export const attacks = { ageb }

/** An attack's name with its parameters beside it. */
export const attackConfig = z.discriminatedUnion('name', [
  ageb.parameters.extend({ name: z.literal('ageb').default('ageb') }),
])
export type AttackConfig = z.infer<typeof attackConfig>
