import type { Command } from 'commander'
import type { RunFlags } from '../../cli/carry-out.js'
import { addExamples } from '../../cli/examples.js'
import { checkpointHelp } from '../../cli/options.js'
import { addRunFlags } from '../../cli/run-flags.js'

interface TrainFlags extends RunFlags {
  readonly config?: string
  readonly from?: string
}

/** `ageb train`: trains a classifier without an attack. */
export function trainCommand(program: Command): void {
  const command = program
    .command('train')
    .summary('train or fine-tune a classifier')
    .description(
      'Train a classifier from scratch, or fine-tune one, and evaluate it once on the test split. The ' +
        'checkpoint is written in the Hugging Face layout, or as ONNX if it came as ONNX.',
    )
    .option('--config <file>', 'configuration file of kind train (default: the defaults of every key)')
    .option('--from <checkpoint>', `checkpoint to fine-tune: ${checkpointHelp} (default: none, a new model)`)
  addRunFlags(command).action(async (flags: TrainFlags) => {
    const { carryOut } = await import('../../cli/carry-out.js')
    const { readConfiguration, UsageError } = await import('@ageb/workbench')
    await carryOut(command, flags, async () => {
      const read = flags.config === undefined ? {} : await readConfiguration(flags.config)
      const where = flags.config ?? 'the configuration'
      if (read.kind !== undefined && read.kind !== 'train') {
        throw new UsageError(`${where}: its kind is ${JSON.stringify(read.kind)}: use 'ageb run ${where}'`)
      }
      const from = flags.from === undefined ? {} : { from: flags.from }
      return { name: 'train', where, configuration: { ...read, ...from, kind: 'train' } }
    })
  })
  addExamples(command, examples)
}

const examples = [
  'ageb train --set training.epochs=3 model.num_hidden_layers=4',
  'ageb train --data uoft-cs/cifar10 --out runs/cifar10',
  'ageb train --from vit-cifar10 --data ./my-images --seed 2',
]
