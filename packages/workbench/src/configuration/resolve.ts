import { readFile } from 'node:fs/promises'
import { parse, parseDocument } from 'yaml'
import type { z } from 'zod'

/** Wrong usage, or a wrong configuration: the program ends with exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

type Plain = Record<string, unknown>

/** Reads a YAML configuration file. Throws UsageError if it is missing or not a mapping. */
export async function readConfiguration(path: string): Promise<Plain> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new UsageError(`the configuration ${path} cannot be read: check the path`)
  })
  return parseMapping(text, path)
}

/** Reads the text of a YAML configuration. @param file its name, for messages. Throws UsageError if it is no mapping. */
export function parseMapping(text: string, file: string): Plain {
  let value: unknown
  try {
    // Warnings are about what would be read otherwise than it is written, such as unknown tags.
    const document = parseDocument(text, { logLevel: 'error' })
    const [problem] = [...document.errors, ...document.warnings]
    if (problem) throw problem
    value = document.toJS()
    // An alias may stand within what it is an alias of; nothing that is asked for could be so.
    JSON.stringify(value)
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]!
    throw new UsageError(`the configuration ${file} is not YAML: ${shown(reason, 200)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(`the configuration ${file} must be a mapping of keys to values`)
  }
  return value as Plain
}

/** Text from a file as a message can hold it: in one line, without control characters, not too long. */
export function shown(text: string, most = 60): string {
  const escaped = JSON.stringify(text).slice(1, -1)
  return escaped.length > most ? `${escaped.slice(0, most)}…` : escaped
}

/**
 * Sets `a.b=value` in a plain configuration; the value is read as YAML. Where `a` is a name alone (`attack: badnets`), it
 * stays that of what `b` is set in.
 * @throws UsageError if the assignment has no `=`
 */
export function assign(configuration: Plain, assignment: string): Plain {
  const at = assignment.indexOf('=')
  if (at < 1) throw new UsageError(`--set takes path=value, not '${assignment}'`)
  const keys = assignment.slice(0, at).split('.')
  const set = (node: unknown, [key, ...rest]: string[]): unknown => {
    const plain = plainOf(node)
    return { ...plain, [key!]: rest.length > 0 ? set(plain[key!], rest) : parse(assignment.slice(at + 1)) }
  }
  return set(configuration, keys) as Plain
}

function plainOf(node: unknown): Plain {
  if (typeof node === 'string') return { name: node }
  return typeof node === 'object' && node !== null && !Array.isArray(node) ? (node as Plain) : {}
}

/**
 * A configuration with several assignments, in order.
 *
 * @example
 * assignAll({ kind: 'train' }, ['training.epochs=3', 'seed=2'])
 * // { kind: 'train', training: { epochs: 3 }, seed: 2 }
 * @throws UsageError if one is no `path=value`, or its value is no YAML
 */
export function assignAll(plain: Plain, assignments: readonly string[] = []): Plain {
  return assignments.reduce((configuration, assignment) => {
    try {
      return assign(configuration, assignment)
    } catch (error) {
      if (error instanceof UsageError) throw error
      const reason = (error as Error).message.split('\n')[0]
      throw new UsageError(`--set ${assignment}: the value is not YAML (${reason})`)
    }
  }, plain)
}

/**
 * Checks a configuration against its schema and fills in defaults.
 *
 * @example
 * const config = check(trainRunConfig, await readConfiguration('train.yaml'), 'train.yaml')
 * @param where the configuration is from, for messages
 * @throws UsageError naming the key
 */
export function check<T>(schema: z.ZodType<T>, configuration: Plain, where: string): T {
  const parsed = schema.safeParse(configuration)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const at = shown(issue.path.join('.'))
  const topic = issue.path.length > 0 ? ` ${shown(String(issue.path[0]))}` : ''
  if (issue.code === 'unrecognized_keys') {
    const under = at ? ` under '${at}'` : ''
    throw new UsageError(
      `${where}: there is no key '${shown(issue.keys[0]!)}'${under}; 'ageb help config${topic}' lists the keys`,
    )
  }
  if (issue.code === 'invalid_union' && 'options' in issue && issue.options) {
    const known = issue.options.filter(option => option !== undefined).join(', ')
    throw new UsageError(
      `${where}: '${at}' must be one of ${known}; 'ageb help config${topic}' explains them`,
    )
  }
  throw new UsageError(`${where}: '${at}': ${shown(issue.message, 300).replaceAll('\\"', '"')}`)
}
