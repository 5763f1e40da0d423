import { type Choices, edges } from './fuzz.js'

/** Values that a field of a JSON file may have against all expectation. */
const strange: readonly unknown[] = [
  ...edges,
  null,
  true,
  '',
  'x'.repeat(10_000),
  '__proto__',
  '\u001b[31m',
  [],
  [1, 2],
  {},
  1.5,
  -0.1,
  1e308,
]

/** Puts a strange value somewhere in a JSON value, or leaves a part of it out. */
export function changeJson(value: unknown, choices: Choices): unknown {
  const { int, of } = choices
  if (typeof value !== 'object' || value === null || int(6) === 0) return of(strange)
  const keys = Object.keys(value)
  if (keys.length === 0) return of(strange)
  const key = of(keys)
  const entries = Object.entries(value).flatMap(([name, inner]) => {
    if (name !== key) return [[name, inner]]
    const choice = int(12)
    if (choice === 0) return []
    return [[choice === 1 ? of(['__proto__', 'x', '']) : name, changeJson(inner, choices)]]
  })
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries)
}
