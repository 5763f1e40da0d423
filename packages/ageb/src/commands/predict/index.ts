import type { Command } from 'commander'
import { addExamples } from '../../cli/examples.js'
import { addMachineFlags, checkpointHelp, jsonOption, wholeNumber } from '../../cli/options.js'
import type { PredictFlags } from './outcome.js'

/** `ageb predict`: classifies pictures. */
export function predictCommand(program: Command): void {
  const command = program
    .command('predict')
    .summary('predict the classes of pictures')
    .description(
      "Predict the classes of pictures with a checkpoint. They are resized, cropped and normalized as the checkpoint's " +
        'preprocessor_config.json says, with the same pixel values as in transformers. --json also prints all logits.',
    )
    .argument('<model>', `checkpoint: ${checkpointHelp}`)
    .argument('<pictures...>', 'PNG, JPEG or WebP files, or folders with such files')
    .option('--top <n>', 'number of classes to print for each picture', wholeNumber(1), 5)
  addMachineFlags(command, { threads: 'all cores', device: 'cpu' })
    .addOption(jsonOption())
    .action(async (model: string, pictures: string[], flags: PredictFlags & { json?: boolean }) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { predicted } = await import('./outcome.js')
      show(await predicted(model, pictures, flags, terminal), flags.json)
    })
  addExamples(command, examples)
}

const examples = [
  'ageb predict vit-cifar10 photo.png',
  'ageb predict ./deit-tiny photos/ --top 1',
  'ageb predict ./swin-tiny photo.jpg --json',
]
