import { type BenchSettings, benchDefaults, type PartName, partNames } from '@ageb/workbench/benchmark'
import { type Command, InvalidArgumentError } from 'commander'
import { addExamples } from '../../cli/examples.js'
import { addMachineFlags, jsonOption, wholeNumber } from '../../cli/options.js'

interface BenchFlags extends BenchSettings {
  readonly only?: readonly PartName[]
  readonly profile?: boolean
  readonly json?: boolean
}

/** `ageb bench`: the speed of this machine. */
export function benchCommand(program: Command): void {
  const command = program
    .command('bench')
    .summary('measure training, trigger, inference and data loading on this machine')
    .description(
      'Measure how fast this machine trains a ViT with AdamW, computes AGEB triggers with it at pixel level, ' +
        'predicts, and loads images. Each part is measured in its own process, after a warm-up; figures are medians. ' +
        'The float32 matrix throughput is measured before and after each part. Compare machines and days by the ' +
        'share of this throughput that a part reaches.',
    )
    .option('--only <parts>', `some of the parts ${partNames.join(',')} (default: all)`, parts)
    .option('--seconds <n>', 'time for each part, seconds', wholeNumber(1), benchDefaults.seconds)
    .option('--batch <n>', 'images per step', wholeNumber(1), benchDefaults.batch)
    .option(
      '--micro-batches <n>',
      'parts of a training batch that are run sequentially; must divide it',
      wholeNumber(1),
      benchDefaults.microBatches,
    )
    .option(
      '--width <n>',
      'width of a token; the hidden layer of a block is four times as wide',
      wholeNumber(1),
      benchDefaults.width,
    )
    .option('--depth <n>', 'number of blocks', wholeNumber(1), benchDefaults.depth)
    .option('--heads <n>', 'attention heads', wholeNumber(1), benchDefaults.heads)
    .option('--patch <n>', 'side of a patch, pixels', wholeNumber(1), benchDefaults.patch)
    .option('--image <n>', 'side of an image, pixels', wholeNumber(1), benchDefaults.image)
    .option('--profile', 'also show the time of a training step by operator and scope')
  addMachineFlags(command, { threads: 'all cores', device: 'cpu' })
    .addOption(jsonOption())
    .action(async ({ only = partNames, profile, json, ...settings }: BenchFlags) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { measured } = await import('./outcome.js')
      show(await measured(settings, [...only, ...(profile ? (['profile'] as const) : [])], terminal), json)
    })
  addExamples(command, examples)
}

/** `train,trigger`, in the order in which they are measured. */
function parts(text: string): PartName[] {
  const given = text.split(',')
  const wrong = given.find(name => !partNames.some(part => part === name))
  if (wrong !== undefined) throw new InvalidArgumentError(`'${wrong}' is not one of ${partNames.join(', ')}.`)
  return partNames.filter(part => given.includes(part))
}

const examples = [
  'ageb bench',
  'ageb bench --only train,inference --threads 1 --json',
  'ageb bench --only train --width 128 --depth 6 --heads 4 --batch 128 --profile',
]
