import type { Model } from '../models/model.js'

/**
 * Names of the parameters whose sizes depend on the number of classes.
 * @param model of no classes.
 */
export function headOf({ parameters }: Model): string[] {
  return Object.keys(parameters).filter(name => parameters[name]!.shape.includes(0))
}
