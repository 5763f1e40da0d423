import type { Command } from 'commander'
import { addExamples } from '../../cli/examples.js'
import {
  addDataFlags,
  addMachineFlags,
  checkpointHelp,
  jsonOption,
  pluginOption,
  setHelp,
} from '../../cli/options.js'
import type { EvalFlags } from './outcome.js'

/** `ageb eval`: the accuracy of a checkpoint, and the success of an attack on it. */
export function evalCommand(program: Command): void {
  const command = program
    .command('eval')
    .summary('evaluate a checkpoint on a split, clean and under an attack')
    .description(
      'Measure the accuracy of a checkpoint on a split, in total and for each class. With --run, --config or --set, also ' +
        'evaluate it under that attack: ASR, RA and base rate on the images whose class is not the goal.',
    )
    .argument('<model>', `checkpoint: ${checkpointHelp}`)
  addDataFlags(command, "the attack's, or else cifar10-subset")
    .option('--split <name>', 'which split', 'test')
    .option('--run <run>', "take attack and data from a run's configuration (default: no attack)")
    .option(
      '--config <file>',
      'take attack and data from a configuration of kind backdoor (default: no attack)',
    )
    .addOption(pluginOption())
    .option('--set <path=value...>', setHelp)
  addMachineFlags(command)
    .addOption(jsonOption())
    .action(async (model: string, flags: EvalFlags & { json?: boolean }) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { evaluated } = await import('./outcome.js')
      show(await evaluated(model, flags, terminal), flags.json)
    })
  addExamples(command, examples)
}

const examples = [
  'ageb eval vit-cifar10',
  'ageb eval runs/demo-20250131-142501/backdoored-model --run runs/demo-20250131-142501',
  'ageb eval vit-cifar10 --data uoft-cs/cifar10 --set attack.share=0.5 --json',
]
