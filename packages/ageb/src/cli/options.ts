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

/** The flags that say on what models run. */
export interface MachineFlags {
  readonly threads?: number
  readonly device?: DeviceChoice
}

/** `--device`, for every command that runs models. */
export function deviceOption(): Option {
  return new Option(
    '--device <name>',
    'where models run; auto: the best that is there; equal results want equal devices (default: cpu)',
  ).choices(deviceChoices)
}

/** Adds `MachineFlags` to a command. */
export function addMachineFlags(command: Command): Command {
  return command
    .option('--threads <n>', 'threads of the runtime; equal results want equal counts', wholeNumber(1))
    .addOption(deviceOption())
}

/** What every command says of `--set`. */
export const setHelp = "set configuration keys; 'ageb help config' lists them"

/** The flag that names plugins. */
export interface PluginFlags {
  readonly plugin?: readonly string[]
}

/** `--plugin`, for every command that deals with attacks. */
export function pluginOption(): Option {
  return new Option(
    '--plugin <module>',
    'load attacks of yours: an ES module, by its path or as a package; it is code that is run; may be repeated',
  ).argParser((module: string, others: readonly string[] = []) => [...others, module])
}
