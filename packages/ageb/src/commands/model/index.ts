import { type Command, Option } from 'commander'
import { addExamples } from '../../cli/examples.js'
import { checkpointHelp, jsonOption, wholeNumber } from '../../cli/options.js'
import type { ExportModelFlags } from './outcomes.js'

/** `ageb model`: describes a checkpoint, or writes it in another format. */
export function modelCommand(program: Command): void {
  const command = program
    .command('model')
    .summary('describe a checkpoint, or write it in another format')
    .description('Describe a checkpoint, or write it for transformers, transformers.js or ONNX Runtime.')
    .helpCommand(false)
  command
    .command('info')
    .description('Print family, size, classes, preprocessing, blocks, attention and history of a checkpoint.')
    .argument('<model>', `checkpoint: ${checkpointHelp}`)
    .addOption(jsonOption())
    .action(async (model: string, { json }: { json?: boolean }) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { described } = await import('./outcomes.js')
      show(await described(model, terminal), json)
    })
  command
    .command('export')
    .alias('convert')
    .description('Write a checkpoint in another format.')
    .argument('<model>', `checkpoint: ${checkpointHelp}`)
    .requiredOption('--out <folder>', 'the folder to write')
    .addOption(
      new Option(
        '--format <name>',
        'hf: the folder that transformers reads; onnx: the folder that transformers.js reads, with onnx/model.onnx',
      )
        .choices(['hf', 'onnx'])
        .default('hf'),
    )
    .addOption(
      new Option('--dtype <name>', 'for hf: the type in which weights are stored')
        .choices(['float32', 'float16'])
        .default('float32'),
    )
    .option('--batch <n>', 'for onnx: images in each run (default: any number)', wholeNumber(1))
    .addOption(jsonOption())
    .action(async (model: string, flags: ExportModelFlags & { json?: boolean }) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { exported } = await import('./outcomes.js')
      show(await exported(model, flags, terminal), flags.json)
    })
  addExamples(command, examples)
}

const examples = [
  'ageb model info vit-cifar10',
  'ageb model export vit-cifar10 --out for-transformers',
  'ageb model export runs/my-vit/model --format onnx --out for-transformers-js',
  'ageb model export ./deit-tiny --dtype float16 --out smaller',
]
