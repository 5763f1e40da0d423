import type { Command } from 'commander'
import { addDataFlags, addMachineFlags, jsonOption, setHelp, wholeNumber } from './options.js'

/** Adds the flags of every command that makes a run; they are parsed to `RunFlags`. */
export function addRunFlags(command: Command): Command {
  command.option('--out <folder>', 'folder of the new run (default: runs/<name>-<UTC time>)')
  addDataFlags(command).option(
    '--seed <n>',
    "seed of all random numbers (default: the configuration's)",
    wholeNumber(0),
  )
  return addMachineFlags(command)
    .option('--set <path=value...>', setHelp)
    .option('--resume <run>', 'resume an interrupted run; the result is the same as without the interruption')
    .addOption(jsonOption())
}
