import type { Command } from 'commander'
import type { RunFlags } from '../../cli/carry-out.js'
import { addExamples } from '../../cli/examples.js'
import { pluginOption } from '../../cli/options.js'
import { addRunFlags } from '../../cli/run-flags.js'

/** `ageb demo`: the backdoor experiment with the bundled configuration. */
export function demoCommand(program: Command): void {
  const command = program
    .command('demo')
    .summary('run a complete backdoor experiment on bundled data and write a report')
    .description(
      'Run a complete backdoor experiment on bundled data: compute triggers from the attention gradients of a ' +
        'surrogate, fine-tune a victim on poisoned images and its clean twin on clean ones, evaluate both on the test ' +
        'split, and write a report.',
    )
  addRunFlags(command)
    .addOption(pluginOption())
    .action(async (flags: RunFlags) => {
      const { carryOut } = await import('../../cli/carry-out.js')
      const { beginningFrom, demoConfiguration } = await import('@ageb/workbench')
      await carryOut(command, flags, () => beginningFrom(demoConfiguration, 'demo'))
    })
  addExamples(command, examples)
}

const examples = [
  'ageb demo',
  'ageb demo --seed 2 --set poisoning.rate=0.05 attack.share=0.5',
  'ageb demo --resume runs/demo-20250131-142501',
]
