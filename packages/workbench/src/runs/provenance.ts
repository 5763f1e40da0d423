import type { Checkpoint } from '@ageb/lab'
import type { Monitor } from './monitor.js'

/** Warns if a checkpoint says of itself that it was poisoned. */
export function warnIfPoisoned(monitor: Monitor, name: string, { provenance }: Checkpoint): void {
  if (!provenance.poisoned) return
  const { attack, target, poisonRate, poisonCount, seed } = provenance
  const count = poisonCount === undefined ? '' : `, ${poisonCount} images`
  const facts = [
    attack !== undefined && `attack ${attack}`,
    target !== undefined && `target '${target}'`,
    poisonRate !== undefined && `${100 * poisonRate} % poison${count}`,
    seed !== undefined && `seed ${seed}`,
  ].filter(fact => fact !== false)
  const known = facts.length > 0 ? ` (${facts.join(', ')})` : ''
  monitor.say(`warning: ${name} was backdoored on purpose${known}: use it for research on defenses only`)
}
