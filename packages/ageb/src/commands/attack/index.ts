import type { Command } from 'commander'
import { addExamples } from '../../cli/examples.js'
import { jsonOption, type PluginFlags, pluginOption } from '../../cli/options.js'

type AttackListFlags = PluginFlags & { readonly json?: boolean }

/** `ageb attack`: which attacks there are, and what each takes. */
export function attackCommand(program: Command): void {
  const command = program
    .command('attack')
    .summary('list the attacks, or show one with its parameters and presets')
    .description('List the attacks, or show one with its parameters and presets.')
    .helpCommand(false)
  command
    .command('list')
    .description(
      'List every attack: what the attacker controls, and the paper. --json prints all that is known of them.',
    )
    .addOption(pluginOption())
    .addOption(jsonOption())
    .action(async ({ json, ...flags }: AttackListFlags) => {
      const { show } = await import('../../cli/output.js')
      const { listAttacks } = await import('./describe-attacks.js')
      show(await listAttacks(flags), json)
    })
  command
    .command('show')
    .description('Show one attack: paper, what it needs, parameters with their defaults, presets.')
    .argument('<name>', 'the attack')
    .addOption(pluginOption())
    .addOption(jsonOption())
    .action(async (name: string, { json, ...flags }: AttackListFlags) => {
      const { show } = await import('../../cli/output.js')
      const { showAttack } = await import('./describe-attacks.js')
      show(await showAttack(name, flags), json)
    })
  addExamples(command, examples)
}

const examples = [
  'ageb attack list',
  'ageb attack show badnets',
  'ageb attack list --plugin ./my-attack.js --json',
]
