import type { Command } from 'commander'
import type { RunFlags } from '../../cli/carry-out.js'
import { addExamples } from '../../cli/examples.js'
import { pluginOption } from '../../cli/options.js'
import { addRunFlags } from '../../cli/run-flags.js'

/** `ageb run`: runs an attack or a configuration file, or resumes an interrupted run. */
export function runCommand(program: Command): void {
  const command = program
    .command('run')
    .summary('run an attack or a configuration file, or resume a run')
    .description(
      "Run a YAML configuration file; its key 'kind' is train or backdoor. Relative paths in it start at the current " +
        "folder, and are written unchanged to the run's config.yaml; those of plugins start at the file's folder. The name " +
        'of an attack stands for the configuration of ageb demo with that attack.',
    )
    .argument('[config]', "a configuration file, or an attack: 'ageb attack list' shows them")
  addRunFlags(command)
    .addOption(pluginOption())
    .action(async (config: string | undefined, flags: RunFlags) => {
      const { carryOut } = await import('../../cli/carry-out.js')
      const { beginningOf, UsageError } = await import('@ageb/workbench')
      await carryOut(command, flags, async () => {
        if (config === undefined)
          throw new UsageError('give a configuration file or the name of an attack, or --resume and a run')
        return beginningOf(config, flags.plugin)
      })
    })
  addExamples(command, examples)
}

const examples = [
  'ageb run badnets',
  'ageb run ageb --set attack.preset=paper',
  'ageb run experiment.yaml --seed 3 --out runs/seed-3',
  'ageb run --resume runs/badnets-20250131-142501',
]
