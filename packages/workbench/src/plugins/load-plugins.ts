import { pathToFileURL } from 'node:url'
import { type Attack, asAttack, attackConfigWith, attacks } from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { type FoundModule, findModule } from './find-module.js'
import { moduleDigest } from './module-digest.js'
import { noteOfPlugin, type Plugin } from './plugin.js'

type Plain = Record<string, unknown>

/** Who names plugins. */
export interface PluginSources {
  /** Modules that the user names: paths from the current folder, or packages. */
  readonly named?: readonly string[] | undefined
  /**
   * The folder of the configuration file that the user runs: what the plugins that it names are relative to. Left out for
   * a configuration that is not the user's own, that of a run folder: what that names is not loaded.
   */
  readonly folder?: string | undefined
}

/**
 * Loads the plugins that the user names: code, which runs with all that the user may do. Nothing else loads any.
 *
 * @param where the configuration is from, for messages
 * @returns the plugins, and the configuration with a note of each in place of the modules that it names
 * @throws UsageError if a module is not there; InputError if it fails, exports no attack, or one whose name is taken
 *
 * @example
 * const mine = { kind: 'backdoor', plugins: ['./my-attack.js'], attack: 'corner-checkerboard' }
 * const { configuration, plugins } = await loadPlugins(mine, 'here', { folder: '.' })
 * const resolved = await resolveConfiguration(configuration, 'here', plugins)
 */
export async function loadPlugins(
  configuration: Plain,
  where: string,
  { named = [], folder }: PluginSources,
): Promise<{ readonly configuration: Plain; readonly plugins: readonly Plugin[] }> {
  const entries: readonly unknown[] = Array.isArray(configuration.plugins) ? configuration.plugins : []
  const found: FoundModule[] = []
  for (const module of named) found.push(await findModule(module, process.cwd(), '--plugin'))
  const rest: unknown[] = []
  for (const entry of entries) {
    if (typeof entry === 'string' && folder !== undefined) found.push(await findModule(entry, folder, where))
    else rest.push(entry)
  }
  const plugins: Plugin[] = []
  for (const module of found)
    if (!plugins.some(({ file }) => file === module.file)) plugins.push(await loadPlugin(module, plugins))
  if (plugins.length === 0 || (configuration.plugins !== undefined && !Array.isArray(configuration.plugins)))
    return { configuration, plugins }
  const notes = plugins.map(noteOfPlugin)
  const others = rest.filter(entry => !notes.some(({ digest }) => digest === digestIn(entry)))
  return { configuration: { ...configuration, plugins: [...notes, ...others] }, plugins }
}

/** Files that this process has loaded, with the digest that they then had. */
const loaded = new Map<string, string>()

async function loadPlugin({ name, file }: FoundModule, others: readonly Plugin[]): Promise<Plugin> {
  const where = `the plugin ${name}`
  const digest = await moduleDigest(file)
  // Node keeps modules: the changed files would not be run.
  if ((loaded.get(file) ?? digest) !== digest)
    throw new InputError(`${where} was changed after this process had loaded it: start the program again`)
  loaded.set(file, digest)
  const brought = attacksIn(await importModule(file, where), where)
  for (const [i, attack] of brought.entries()) {
    const taken = (known: readonly Attack[]) => known.some(other => other.name === attack.name)
    const owner = taken(attacks)
      ? 'an attack of ageb'
      : taken(brought.slice(0, i))
        ? 'another attack of the same plugin'
        : others.find(other => taken(other.attacks))?.name
    if (owner !== undefined)
      throw new InputError(`${where}: the name '${attack.name}' is taken by ${owner}: choose another name`)
    assertUsable(attack, where)
  }
  return { name, digest, file, attacks: brought }
}

async function importModule(file: string, where: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await import(pathToFileURL(file).href)
  } catch (error) {
    const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error))
    const [at] = /file:\/\/\S+?:\d+/.exec(stack) ?? []
    const line = at === undefined ? '' : `, at ${at}`
    const missing = /Cannot find package '([^']+)'/.exec(message)?.[1]
    // Of a syntax error, only Node itself says the line.
    const advice = missing ? `install ${missing} in its folder` : `'node ${file}' shows where`
    throw new InputError(
      `${where} failed while it was loaded (${name}: ${message.split('\n')[0]}${line}): ${advice}`,
      { cause: error },
    )
  }
}

/** What a module exports that says whose idea it is, as every declaration does, has to be an attack. */
function attacksIn(module: Readonly<Record<string, unknown>>, where: string): Attack[] {
  const declared = [...new Set(Object.values(module))].filter(
    value => typeof value === 'object' && value !== null && 'citation' in value,
  )
  if (declared.length > 0) return declared.map(value => asAttack(value, where))
  throw new InputError(`${where} exports no attack: export what defineAttack of @ageb/lab returns`)
}

/** Refuses an attack that its name alone does not configure, as `attack: name` and every check of presets needs it. */
function assertUsable(attack: Attack, where: string): void {
  const { name, parameters } = attack
  const refuse = (why: string) => new InputError(`${where}: the attack '${name}' cannot be used: ${why}`)
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name))
    throw refuse('a name is of small letters, digits and hyphens, because folders are named after it')
  const reserved = ['name', 'preset'].find(key => key in parameters.shape)
  if (reserved) throw refuse(`'${reserved}' is no parameter's name, because configurations use it`)
  let reason: string | undefined
  try {
    reason = attackConfigWith([attack]).safeParse({ name }).error?.issues[0]?.message
    attack.configure({})
  } catch (error) {
    reason ??= error instanceof Error ? error.message : String(error)
  }
  if (reason !== undefined)
    throw refuse(`its defaults are no configuration (${reason}); give each parameter one, with zod 4`)
}

function digestIn(entry: unknown): unknown {
  return typeof entry === 'object' && entry !== null && 'digest' in entry ? entry.digest : undefined
}
