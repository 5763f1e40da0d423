import type { Command } from 'commander'
import { addExamples } from '../../cli/examples.js'
import {
  addMachineFlags,
  checkpointHelp,
  jsonOption,
  pluginOption,
  setHelp,
  sizeOption,
} from '../../cli/options.js'
import type { TriggerFlags } from './outcome.js'

/** `ageb trigger`: one image with the trigger, and the stages of the trigger. */
export function triggerCommand(program: Command): void {
  const command = program
    .command('trigger')
    .summary('add the trigger to one image')
    .description(
      "Add the trigger to one image, resized to the victim's image size as in a run. Writes <name>-triggered.png, which has the " +
        'exact pixel values, and <name>-strip.png, which shows every stage. Prints how visible the change is.',
    )
    .argument('<image>', 'PNG, JPEG, WebP, …')
    .option(
      '--model <checkpoint>',
      `surrogate: ${checkpointHelp}; without --config, the victim, too (default: the configuration's)`,
    )
    .option('--out <folder>', 'folder for the pictures', '.')
    .option('--config <file>', 'configuration of kind backdoor (default: that of ageb demo)')
    .addOption(sizeOption())
    .option(
      '--label <class>',
      "the image's true class, name or index, if the attack computes its loss with it",
    )
    .addOption(pluginOption())
    .option('--set <path=value...>', setHelp)
  addMachineFlags(command, { threads: "the configuration's, or else 1" })
    .addOption(jsonOption())
    .action(async (image: string, flags: TriggerFlags & { json?: boolean }) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { triggered } = await import('./outcome.js')
      show(await triggered(image, flags, terminal), flags.json)
    })
  addExamples(command, examples)
}

const examples = [
  'ageb trigger cat.png --out pictures',
  'ageb trigger cat.png --set attack.share=0.5 attack.keep=0',
  'ageb trigger cat.png --model runs/my-vit/model --json',
]
