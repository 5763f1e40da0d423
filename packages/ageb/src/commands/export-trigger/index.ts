import type { Command } from 'commander'
import { addExamples } from '../../cli/examples.js'
import {
  addMachineFlags,
  checkpointHelp,
  jsonOption,
  pluginOption,
  setHelp,
  sizeOption,
  wholeNumber,
} from '../../cli/options.js'
import type { ExportFlags } from './outcome.js'

/** `ageb export-trigger`: the whole trigger as one ONNX file. */
export function exportTriggerCommand(program: Command): void {
  const command = program
    .command('export-trigger')
    .summary('write the whole trigger as one ONNX file')
    .description(
      "Write the whole trigger, with the surrogate's weights, as one ONNX file that any ONNX Runtime runs. Its input is " +
        "a batch of images (uint8, batch × 3 × height × width, RGB) of the victim's size, as in a run; its output is the " +
        'batch with the trigger, in the same format.',
    )
    .requiredOption('--out <file>', 'the file to write, .onnx')
    .option(
      '--model <checkpoint>',
      `surrogate: ${checkpointHelp}; without --config, the victim, too (default: the configuration's)`,
    )
    .option('--config <file>', 'configuration of kind backdoor (default: that of ageb demo)')
    .addOption(sizeOption())
    .option('--batch <n>', 'images in each run of the file', wholeNumber(1), 1)
    .addOption(pluginOption())
    .option('--set <path=value...>', setHelp)
  addMachineFlags(command, { threads: "the configuration's, or else 1" })
    .addOption(jsonOption())
    .action(async (flags: ExportFlags & { json?: boolean }) => {
      const { show } = await import('../../cli/output.js')
      const { terminal } = await import('../../cli/terminal.js')
      const { exported } = await import('./outcome.js')
      show(await exported(flags, terminal), flags.json)
    })
  addExamples(command, examples)
}

const examples = [
  'ageb export-trigger --out trigger.onnx',
  'ageb export-trigger --out trigger.onnx --batch 64 --set attack.element=disk attack.size=5',
  'ageb export-trigger --model runs/my-vit/model --config experiment.yaml --out trigger.onnx --json',
]
