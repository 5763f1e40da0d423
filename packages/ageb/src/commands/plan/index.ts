import type { Command } from 'commander'
import { addExamples } from '../../cli/examples.js'
import {
  addDataFlags,
  addMachineFlags,
  jsonOption,
  pluginOption,
  setHelp,
  wholeNumber,
} from '../../cli/options.js'
import type { PlanFlags } from './outcome.js'

/** `ageb plan`: the cost of a configuration. */
export function planCommand(program: Command): void {
  const command = program
    .command('plan')
    .summary('estimate the cost of a run before it is started')
    .description(
      'Estimate the cost of a configuration: parameters, operations, memory, disk, and the time on this machine, for ' +
        'which a few short training steps are measured. Nothing is downloaded without need, and nothing is written.',
    )
    .argument(
      '[config]',
      'a configuration file, or an attack (default: kind train with the defaults of every key)',
    )
  addDataFlags(command)
    .option(
      '--images <n>',
      'number of training images, if the data set is not on this machine',
      wholeNumber(1),
    )
    .option('--test-images <n>', 'number of test images, in the same case', wholeNumber(1))
    .option('--classes <n>', 'number of classes, in the same case', wholeNumber(2))
    .option(
      '--gflops <n>',
      'also estimate the time on a processor with this matrix throughput in GFLOP/s',
      wholeNumber(1),
    )
    .option('--set <path=value...>', setHelp)
    .addOption(pluginOption())
  addMachineFlags(command)
    .addOption(jsonOption())
    .action(async (config: string | undefined, flags: PlanFlags & { json?: boolean }) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { planned } = await import('./outcome.js')
      show(await planned(config, flags, terminal), flags.json)
    })
  addExamples(command, examples)
}

const examples = [
  'ageb plan my-experiment.yaml',
  'ageb plan packages/workbench/configs/paper/vit-b16.yaml --data uoft-cs/cifar100 --gflops 10000',
  'ageb plan --set model.image_size=224 model.patch_size=16 model.hidden_size=768 training.batchSize=8',
]
