import type { Command } from 'commander'
import { addExamples } from '../../cli/examples.js'
import { jsonOption, type PluginFlags, pluginOption } from '../../cli/options.js'

/** `ageb help`: of the program, of a command, or of the keys of configurations. */
export function helpCommand(program: Command): void {
  const command = program
    .command('help')
    .summary("help on a command, or on 'config': the keys that can be set")
    .description(
      "Print help on a command, or with 'config' on the keys of configuration files: all of them in short, or " +
        'those of one topic.',
    )
    .argument('[topic]', "a command, or 'config'")
    .argument(
      '[keys]',
      'with config: train, backdoor, training, attack, attack.ageb, … (default: all in short)',
    )
    .addOption(pluginOption())
    .addOption(jsonOption())
    .action(
      async (
        topic: string | undefined,
        keys: string | undefined,
        flags: PluginFlags & { json?: boolean },
      ) => {
        if (topic === 'config') {
          const { show } = await import('../../cli/output.js')
          const { attacksOf, knownAttacks } = await import('@ageb/workbench')
          const { configurationHelp } = await import('./configuration-help.js')
          const { plugins } = await knownAttacks(flags.plugin)
          return show(configurationHelp(keys, attacksOf(plugins)), flags.json)
        }
        const { UsageError } = await import('@ageb/workbench')
        if (keys !== undefined)
          throw new UsageError(`only 'config' has topics of its own: leave '${keys}' out`)
        if (flags.json) throw new UsageError("only help on 'config' is printed as JSON: leave --json out")
        const command = topic === undefined ? program : program.commands.find(one => one.name() === topic)
        if (command) return command.outputHelp()
        const topics = [...program.commands.map(one => one.name()), 'config']
        throw new UsageError(`there is no help on '${topic}': choose one of ${topics.join(', ')}`)
      },
    )
  addExamples(command, examples)
}

const examples = [
  'ageb help train',
  'ageb help config',
  'ageb help config attack.ageb',
  'ageb help config training --json',
  'ageb help config attack --plugin ./my-attack.js',
]
