import type { Command } from 'commander'
import { addDataFlags, addMachineFlags, setHelp, wholeNumber } from './options.js'

/** Adds the flags of every command that makes a run; `RunFlags` is what they come to. */
export function addRunFlags(command: Command): Command {
  command.option('--out <folder>', 'folder of the new run (default: runs/<name>-<UTC time>)')
  addDataFlags(command).option('--seed <n>', 'decides everything that is drawn at random', wholeNumber(0))
  return addMachineFlags(command)
    .option('--set <path=value...>', setHelp)
    .option('--resume <run>', 'go on with an interrupted run, to the same result')
    .option('--json', 'print the result as JSON')
}
