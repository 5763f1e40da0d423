import type { Command } from 'commander'
import type { RunFlags } from '../../cli/carry-out.js'
import { pluginOption } from '../../cli/options.js'
import { addRunFlags } from '../../cli/run-flags.js'

/** `ageb run`: what a configuration file says, or the rest of an interrupted run. */
export function runCommand(program: Command): void {
  const command = program
    .command('run')
    .summary('carry out what a configuration file says, or go on with a run')
    .description(
      "Carry out what a YAML configuration says; its key 'kind' is train or backdoor. Relative paths in it are taken " +
        "from the folder that the program is called in, and kept as they are in the run's config.yaml.",
    )
    .argument('[config]', 'configuration file')
  addRunFlags(command)
    .addOption(pluginOption())
    .addHelpText('after', examples)
    .action(async (config: string | undefined, flags: RunFlags) => {
      const { carryOut } = await import('../../cli/carry-out.js')
      const { beginningOf } = await import('../../cli/settings.js')
      const { UsageError } = await import('@ageb/workbench')
      await carryOut(command, flags, async () => {
        if (config === undefined)
          throw new UsageError('give a configuration file or the name of an attack, or --resume and a run')
        return beginningOf(config, flags)
      })
    })
}

const examples = `
Examples:
  ageb run experiment.yaml
  ageb run experiment.yaml --seed 3 --out runs/seed-3
  ageb run --resume runs/experiment-20250131-142501
`
