import { type Attack, type PluginNote, pluginNote } from '@ageb/lab'
import { z } from 'zod'
import { UsageError } from '../configuration/resolve.js'

/** A module of the user's own, loaded: what it brings is an equal of what the program has. */
export interface Plugin extends PluginNote {
  readonly file: string
  readonly attacks: readonly Attack[]
}

/**
 * The `plugins` of a configuration: modules to load, or, in a configuration that was resolved, notes of those that were
 * loaded. A note says what a run was made with and is never loaded from.
 */
export const pluginsConfig = z
  .array(z.union([z.string(), pluginNote]))
  .describe('ES modules of yours that bring attacks: paths from the folder of this file, or packages')

/** The attacks that plugins bring. */
export function attacksOf(plugins: readonly Plugin[]): readonly Attack[] {
  return plugins.flatMap(({ attacks }) => attacks)
}

/** What a record says of the plugin that brought an attack; undefined for the program's own attacks. */
export function pluginOf(attack: string, plugins: readonly Plugin[]): PluginNote | undefined {
  const plugin = plugins.find(({ attacks }) => attacks.some(({ name }) => name === attack))
  return plugin && noteOfPlugin(plugin)
}

export function noteOfPlugin({ name, digest }: PluginNote): PluginNote {
  return { name, digest }
}

/**
 * Checks that every plugin of a configuration is among those that were loaded, unchanged.
 *
 * @param named the configuration's `plugins`; what is no such list is left for its schema to refuse
 * @throws UsageError naming the plugin, and what to do
 */
export function assertLoaded(named: unknown, plugins: readonly Plugin[], where: string): void {
  for (const entry of pluginsConfig.safeParse(named).data ?? []) {
    const note = typeof entry === 'string' ? undefined : entry
    if (note && plugins.some(({ digest }) => digest === note.digest)) continue
    if (note && plugins.some(({ name }) => name === note.name))
      throw new UsageError(
        `${where}: the plugin ${note.name} is not what it was when the run began: restore its files, or begin a new run`,
      )
    throw new UsageError(
      `${where} names the plugin ${note?.name ?? entry}: a plugin is code, so none is loaded from a run; name it yourself with --plugin <path>`,
    )
  }
}
