import type { ColumnChoice } from '@ageb/workbench'
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

/** The flags that say which columns of a data set to take. */
export interface ColumnFlags {
  readonly imageColumn?: string
  readonly labelColumn?: string
}

/** The flags that choose an attack, for commands that compute triggers outside a run. */
export interface AttackFlags extends PluginFlags {
  /** A configuration file; that of the demo if not given. */
  readonly config?: string
  readonly set?: readonly string[]
  /** The surrogate, in place of the configuration's. */
  readonly model?: string
}

/** What a model is given by, the same in every command. */
export const checkpointHelp = 'a folder, an ONNX file, a .pth file, a bundled name or owner/name on the hub'

/**
 * Adds `--data` and `ColumnFlags` to a command.
 * @param byDefault in words: what is taken without the flag
 */
export function addDataFlags(command: Command, byDefault = "the configuration's"): Command {
  return command
    .option(
      '--data <dataset>',
      `a bundled data set, a folder, or owner/name on the Hugging Face hub (default: ${byDefault})`,
    )
    .option('--image-column <name>', 'column of the images, where a data set has several')
    .option('--label-column <name>', 'column of the labels, where a data set has several')
}

/** What the flags set of a configuration: its key `columns`, or nothing if none is given. */
export function columnsOf(
  { imageColumn, labelColumn }: ColumnFlags,
  configuration: Readonly<Record<string, unknown>>,
): { columns?: ColumnChoice } {
  if (imageColumn === undefined && labelColumn === undefined) return {}
  const { columns } = configuration
  return {
    columns: {
      ...(typeof columns === 'object' && columns),
      ...(imageColumn !== undefined && { image: imageColumn }),
      ...(labelColumn !== undefined && { label: labelColumn }),
    },
  }
}

/**
 * Adds `MachineFlags`, for every command that runs models.
 * @param byDefault in words: what is taken without the flags
 */
export function addMachineFlags(
  command: Command,
  { threads = "the configuration's, or else all cores", device = "the configuration's" } = {},
): Command {
  return command
    .option(
      '--threads <n>',
      `threads of the runtime; results depend on their number (default: ${threads})`,
      wholeNumber(1),
    )
    .addOption(
      new Option(
        '--device <name>',
        `where models run; auto: the best device that works; results depend on it (default: ${device})`,
      ).choices(deviceChoices),
    )
}

/** `--json`, for every command. */
export function jsonOption(): Option {
  return new Option('--json', 'print the result as JSON, in one line')
}

/** `--size`, for every command that makes triggers. */
export function sizeOption(): Option {
  return new Option(
    '--size <n>',
    "side of the images that the trigger is for, pixels; the surrogate resizes them (default: the victim's)",
  ).argParser(wholeNumber(1))
}

/** Help on `--set`, the same in every command. */
export const setHelp = "set keys of the configuration; 'ageb help config' lists them"

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
