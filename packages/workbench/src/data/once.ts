import type { Monitor } from '../runs/monitor.js'

const told = new WeakMap<Monitor, Set<string>>()

/** Says a sentence to a monitor, unless it was said to that monitor before. */
export function once(monitor: Monitor, sentence: string): void {
  const known = told.get(monitor) ?? new Set()
  told.set(monitor, known)
  if (known.has(sentence)) return
  known.add(sentence)
  monitor.say(sentence)
}
