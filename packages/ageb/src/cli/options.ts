import { InvalidArgumentError } from 'commander'

/** Parses an option that is a whole number from `least`; commander says which option was wrong. */
export function wholeNumber(least: number): (text: string) => number {
  return text => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (Number.isSafeInteger(value) && value >= least) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least}.`)
  }
}

/** The configuration of `ageb demo`, which other commands take their attack from by default. */
export const demoConfiguration = new URL('../../configs/demo.yaml', import.meta.url)

/** What every command says of `--set`. */
export const setHelp = "set configuration keys; 'ageb help config' lists them"
