import { InputError } from '../errors.js'
import type { Shape } from '../graph/tensor.js'

/** A tensor of a model, float32. */
export interface ParameterSpec {
  readonly shape: Shape
  /** Whether weight decay applies. Usual: matrices and kernels yes; biases, norms and embeddings no. */
  readonly decay: boolean
  /** Factor on the learning rate, above 0; decoupled weight decay follows it. Default 1. */
  readonly rate?: number
  /** Stays as it is: no gradient, no optimizer memory, no average. Default false. */
  readonly frozen?: boolean
  /**
   * Moved by the forward pass and not by the optimizer, as a batch normalization's running statistics are: no
   * gradient, no memory, no decay, no average. Default false.
   */
  readonly buffer?: boolean
}

/** A parameter that knows its place: 0 for what works on the input itself, largest for the head. */
export interface Layered {
  readonly depth?: number
}

/**
 * Layer-wise learning-rate decay (ELECTRA, Clark et al. 2020; BEiT, Bao et al. 2022): the deepest parameters keep
 * their rate, and every layer towards the input has `decay` times that of the next.
 *
 * @param decay in (0, 1].
 * @throws InputError if a parameter has no depth.
 */
export function layerwiseRates<P extends ParameterSpec & Layered>(
  parameters: Readonly<Record<string, P>>,
  decay: number,
): Record<string, P> {
  const depthOf = (name: string) => {
    const { depth } = parameters[name]!
    if (depth === undefined)
      throw new InputError(
        `layer-wise rates need every parameter's depth, and '${name}' has none: give it one or do without`,
      )
    return depth
  }
  const names = Object.keys(parameters)
  const deepest = Math.max(...names.map(depthOf))
  return Object.fromEntries(
    names.map(name => {
      const spec = parameters[name]!
      return [name, { ...spec, rate: (spec.rate ?? 1) * decay ** (deepest - depthOf(name)) }]
    }),
  )
}

/**
 * Freezes parameters by name, or all whose names go on from a given one after a dot: `vit.embeddings`.
 * @throws InputError if a name fits no parameter.
 */
export function freeze<P extends ParameterSpec>(
  parameters: Readonly<Record<string, P>>,
  frozen: readonly string[],
): Record<string, P> {
  const covers = (group: string, name: string) => name === group || name.startsWith(`${group}.`)
  const names = Object.keys(parameters)
  for (const group of frozen) {
    if (names.some(name => covers(group, name))) continue
    const known = new Set(names.map(name => name.split('.').slice(0, 2).join('.')))
    throw new InputError(
      `no parameter is called '${group}' or begins so: they begin ${[...known].join(', ')}`,
    )
  }
  return Object.fromEntries(
    names.map(name => {
      const spec = parameters[name]!
      return [name, frozen.some(group => covers(group, name)) ? { ...spec, frozen: true } : spec]
    }),
  )
}
