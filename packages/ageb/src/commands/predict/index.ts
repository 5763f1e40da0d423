import type { Command } from 'commander'
import { addMachineFlags, wholeNumber } from '../../cli/options.js'
import type { PredictFlags } from './predict-pictures.js'

/** `ageb predict`: what a classifier calls pictures. */
export function predictCommand(program: Command): void {
  const command = program
    .command('predict')
    .summary('tell what a checkpoint calls pictures')
    .description(
      'Tell what a checkpoint calls pictures. They are resized, cropped and normalized as its ' +
        'preprocessor_config.json says, to the bytes that transformers gives a model.',
    )
    .argument('<model>', 'checkpoint: a folder, an ONNX file, a bundled name or owner/name on the hub')
    .argument('<pictures...>', 'PNG, JPEG or WebP files, or folders of such')
    .option('--top <n>', 'how many classes to tell of each picture', wholeNumber(1), 5)
  addMachineFlags(command)
    .option('--json', 'print the result as JSON, with all logits')
    .addHelpText('after', examples)
    .action(async (model: string, pictures: string[], flags: PredictFlags & { json?: boolean }) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { predictPictures } = await import('./predict-pictures.js')
      show(await predictPictures(model, pictures, flags, terminal), flags.json)
    })
}

const examples = `
Examples:
  ageb predict vit-cifar10 photo.png
  ageb predict ./deit-tiny photos/ --top 1
  ageb predict ./swin-tiny photo.jpg --json
`
