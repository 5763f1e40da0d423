import type { Command } from 'commander'
import { addMachineFlags, pluginOption, setHelp, wholeNumber } from '../../cli/options.js'
import type { PlanFlags } from './plan.js'

/** `ageb plan`: what a configuration would cost. */
export function planCommand(program: Command): void {
  const command = program
    .command('plan')
    .summary('tell what a run would cost, before it is begun')
    .description(
      'Tell what a configuration would take: parameters, operations, memory, disk, and the time on this machine, which ' +
        'a few short training steps are measured for. Nothing is fetched that is not needed, and nothing is written.',
    )
    .argument(
      '[config]',
      'a configuration file, or an attack (default: kind train with the defaults of every key)',
    )
    .option('--data <dataset>', 'a bundled data set, a folder, or owner/name on the Hugging Face hub')
    .option('--images <n>', 'training images, where the data set is not on this machine', wholeNumber(1))
    .option('--test-images <n>', 'test images, likewise', wholeNumber(1))
    .option('--classes <n>', 'classes, likewise', wholeNumber(2))
    .option('--gflops <n>', 'tell the time on a processor of so many GFLOP/s, too', wholeNumber(1))
    .option('--set <path=value...>', setHelp)
    .addOption(pluginOption())
  addMachineFlags(command)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', examples)
    .action(async (config: string | undefined, flags: PlanFlags & { json?: boolean }) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { plan } = await import('./plan.js')
      show(await plan(config, flags, terminal), flags.json)
    })
}

const examples = `
Examples:
  ageb plan my-experiment.yaml
  ageb plan packages/workbench/configs/paper/vit-b16.yaml --data uoft-cs/cifar100 --gflops 10000
  ageb plan --set model.image_size=224 model.patch_size=16 model.hidden_size=768 training.batchSize=8
`
