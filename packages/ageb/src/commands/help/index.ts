import type { Command } from 'commander'
import { type PluginFlags, pluginOption } from '../../cli/options.js'

/** `ageb help`: of the program, of a command, or of every configuration key. */
export function helpCommand(program: Command): void {
  program
    .command('help')
    .summary("help on a command, or on 'config': every key that can be set")
    .description("Print help on a command, or with 'config' every key of the configuration files.")
    .argument('[topic]', "a command, or 'config'")
    .addOption(pluginOption())
    .option('--json', 'with config: print the keys as JSON')
    .addHelpText('after', examples)
    .action(async (topic: string | undefined, { json, ...flags }: PluginFlags & { json?: boolean }) => {
      if (topic === 'config') {
        const { show } = await import('../../cli/output.js')
        const { configurationHelp } = await import('./configuration-keys.js')
        return show(await configurationHelp(flags), json)
      }
      const command = topic === undefined ? program : program.commands.find(one => one.name() === topic)
      if (command) return command.outputHelp()
      const { UsageError } = await import('@ageb/workbench')
      const topics = [...program.commands.map(one => one.name()), 'config']
      throw new UsageError(`there is no help on '${topic}': choose one of ${topics.join(', ')}`)
    })
}

const examples = `
Examples:
  ageb help train
  ageb help config
  ageb help config --plugin ./my-attack.js --json
`
