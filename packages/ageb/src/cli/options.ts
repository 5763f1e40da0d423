import { type Command, InvalidArgumentError, Option } from 'commander'
import { type DeviceChoice, deviceChoices } from 'onnxgrad/devices'

/** Parses an option that is a whole number from `least`; commander says which option was wrong. */
export function wholeNumber(least: number): (text: string) => number {
  return text => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (Number.isSafeInteger(value) && value >= least) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least}.`)
  }
}

/** The flags that choose where models run. */
export interface MachineFlags {
  readonly threads?: number
  readonly device?: DeviceChoice
}

/**
 * `--device`, for every command that runs models.
 * @param byDefault in words: the device without the flag
 */
export function deviceOption(byDefault = "the configuration's"): Option {
  return new Option(
    '--device <name>',
    `where models run; auto: the best device that works; results depend on it (default: ${byDefault})`,
  ).choices(deviceChoices)
}

/** Adds `MachineFlags` to a command. */
export function addMachineFlags(command: Command, defaultDevice?: string): Command {
  return command
    .option('--threads <n>', 'threads of the runtime; results depend on their number', wholeNumber(1))
    .addOption(deviceOption(defaultDevice))
}

/** Help on `--set`, the same in every command. */
export const setHelp = "set keys of the configuration; 'ageb help config' lists them"
