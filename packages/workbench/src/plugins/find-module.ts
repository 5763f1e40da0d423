import { readFile, realpath, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { UsageError } from '../configuration/resolve.js'
import { errorCode } from '../files/write-file.js'

/** Where a module lies. */
export interface FoundModule {
  /** The file's name without its folder, or the package as it was named. */
  readonly name: string
  readonly file: string
}

/**
 * Finds a module by a path or the name of a package.
 *
 * @param folder what a path is relative to, and where packages are looked for, there and above
 * @param where who names it, for messages
 * @throws UsageError if it is not there
 */
export async function findModule(module: string, folder: string, where: string): Promise<FoundModule> {
  const file = await regularFile(path.resolve(folder, module))
  if (file) return { name: path.basename(module), file }
  if (/^\.{0,2}[/\\]/.test(module) || path.isAbsolute(module))
    throw new UsageError(
      `${where}: there is no file ${path.resolve(folder, module)} to load as a plugin: check the path`,
    )
  const entry = await packageEntry(module, folder)
  if (entry) return { name: module, file: entry }
  throw new UsageError(
    `${where}: the plugin '${module}' is neither a file nor a package in ${path.resolve(folder)}: check the path, or install the package there`,
  )
}

/** The real path of a file; undefined if there is none. */
export async function regularFile(file: string): Promise<string | undefined> {
  const found = await stat(file).catch(() => undefined)
  return found?.isFile() ? realpath(file) : undefined
}

/** The folder of an installed package, and what its package.json says; undefined if there is none. */
export async function packageOf(module: string, folder: string) {
  const name = module.split('/', module.startsWith('@') ? 2 : 1).join('/')
  for (const above of createRequire(path.resolve(folder, 'x')).resolve.paths(name) ?? []) {
    const facts = await factsOf(path.join(above, name, 'package.json'))
    if (facts)
      return { name, folder: path.join(above, name), version: String(facts.version), exports: facts.exports }
  }
  return undefined
}

/** A package.json that is missing or damaged is none: Node says what is wrong with it where it is imported. */
async function factsOf(file: string): Promise<{ version?: unknown; exports?: unknown } | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return undefined
  }
}

async function packageEntry(module: string, folder: string): Promise<string | undefined> {
  try {
    // A module of Node has no path.
    const file = createRequire(path.resolve(folder, 'x')).resolve(module)
    return path.isAbsolute(file) ? file : undefined
  } catch (error) {
    if (errorCode(error) !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') return undefined
  }
  // For `import` alone: that condition Node resolves from a file of the asking package only.
  const found = await packageOf(module, folder)
  if (!found) return undefined
  const target = importTarget(found.exports, `.${module.slice(found.name.length)}`)
  return target === undefined ? undefined : regularFile(path.join(found.folder, target))
}

/** What a package exports under a path, `.` or `./…`, for `import`. */
function importTarget(exports: unknown, at: string): string | undefined {
  if (typeof exports === 'string') return at === '.' ? exports : undefined
  if (typeof exports !== 'object' || exports === null) return undefined
  const entries = Object.entries(exports)
  if (entries.some(([key]) => key.startsWith('.')))
    return importTarget(entries.find(([key]) => key === at)?.[1], '.')
  return importTarget(entries.find(([key]) => ['import', 'node', 'default'].includes(key))?.[1], at)
}
