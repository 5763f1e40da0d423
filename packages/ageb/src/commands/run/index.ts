import type { Command } from 'commander'
import type { RunFlags } from '../../cli/carry-out.js'
import { addRunFlags } from '../../cli/run-flags.js'

/** `ageb run`: runs a configuration file, or resumes an interrupted run. */
export function runCommand(program: Command): void {
  const command = program
    .command('run')
    .summary('run a configuration file, or resume a run')
    .description(
      "Run a YAML configuration file; its key 'kind' is train or backdoor. Relative paths in it start at the current " +
        "folder, and are written unchanged to the run's config.yaml.",
    )
    .argument('[config]', 'configuration file')
  addRunFlags(command)
    .addHelpText('after', examples)
    .action(async (config: string | undefined, flags: RunFlags) => {
      const path = await import('node:path')
      const { carryOut } = await import('../../cli/carry-out.js')
      const { readConfiguration, UsageError } = await import('@ageb/workbench')
      await carryOut(command, flags, async () => {
        if (config === undefined) throw new UsageError('give a configuration file, or --resume and a run')
        return {
          name: path.parse(config).name,
          where: config,
          configuration: await readConfiguration(config),
        }
      })
    })
}

const examples = `
Examples:
  ageb run experiment.yaml
  ageb run experiment.yaml --seed 3 --out runs/seed-3
  ageb run --resume runs/experiment-20250131-142501
`
