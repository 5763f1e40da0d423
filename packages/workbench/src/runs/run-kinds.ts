import { shown, UsageError } from '../configuration/resolve.js'
import { backdoorKind } from './backdoor/kind.js'
import { trainKind } from './train/kind.js'

/** Every kind of run, by the `kind` of its configuration. A new one is a folder here and a line below. */
export const runKinds = { train: trainKind, backdoor: backdoorKind } as const

export type RunKindName = keyof typeof runKinds

/** Whether a name is that of a kind of run. */
export function isRunKind(name: string): name is RunKindName {
  return Object.hasOwn(runKinds, name)
}

/** The name of the kind that a configuration asks for. Throws UsageError if there is none such. */
export function runKindOf(kind: unknown, where: string): RunKindName {
  if (typeof kind === 'string' && isRunKind(kind)) return kind
  const came =
    kind === undefined
      ? 'it has none'
      : typeof kind === 'string'
        ? `not '${shown(kind)}'`
        : 'not a value of another type'
  throw new UsageError(`${where}: 'kind' must be ${Object.keys(runKinds).join(' or ')}; ${came}`)
}
