import { ageb } from './ageb/ageb.js'

/** Every attack, by name. */
export const attacks = { ageb }

export type AttackName = keyof typeof attacks
