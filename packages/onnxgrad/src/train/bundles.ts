import { allocate } from '../graph/dtype.js'
import type { Value } from '../graph/graph.js'
import { type Shape, sizeOf } from '../graph/tensor.js'
import { concat, split } from '../ops/layout.js'
import type { ParameterSpec } from './parameters.js'

/**
 * Trained parameters that the optimizer updates together, as one tensor: their rows, one parameter below the other.
 * A few updates of many values in place of many of a few, which each cost the runtime more than the arithmetic.
 */
export interface Bundle {
  /** Name of the state tensor that holds them. */
  readonly name: string
  /** Names of the parameters, in their order. */
  readonly members: readonly string[]
  readonly shape: Shape
  /** Rows of every member; of a single scalar none. */
  readonly rows: readonly number[]
  readonly decay: boolean
  readonly rate: number
}

type Specs = Readonly<Record<string, ParameterSpec>>

/**
 * How many values of neighbouring parameters may be bundled. Measured on two cores: half as many make the step of a small
 * model slower, and twice as many make no model's faster. Neighbours only, because the backward pass reaches them at about the same time; a bundle
 * of distant ones would keep all that the gradients between them are made of.
 */
const NEIGHBOURHOOD = 2 ** 19

/** Bundles parameters of equal treatment (weight decay, rate) whose rows have one length. */
export function bundles(specs: Specs, trained: readonly string[]): Bundle[] {
  const all: { members: string[]; key: string; size: number }[] = []
  let near: typeof all = []
  let size = 0
  for (const name of trained) {
    const { shape, decay, rate = 1 } = specs[name]!
    const own = sizeOf(shape)
    if (size + own > NEIGHBOURHOOD) {
      near = []
      size = 0
    }
    size += own
    // A scalar has no rows.
    const key = JSON.stringify([decay, rate, shape.length === 0 ? name : shape.slice(1)])
    const found = near.find(bundle => bundle.key === key)
    if (found) found.members.push(name)
    else {
      const bundle = { members: [name], key, size: own }
      near.push(bundle)
      all.push(bundle)
    }
  }
  return all.map(({ members }, i) => {
    const { shape, decay, rate = 1 } = specs[members[0]!]!
    const rows = members.flatMap(name => specs[name]!.shape[0] ?? [])
    return {
      name: `bundle.${i}`,
      members,
      shape: shape.length === 0 ? [] : [rows.reduce((sum, n) => sum + n), ...shape.slice(1)],
      rows,
      decay,
      rate,
    }
  })
}

/** The members of a bundle, by name. */
export function unbundle({ members, rows }: Bundle, whole: Value): Record<string, Value> {
  const parts = members.length === 1 ? [whole] : split(whole, rows)
  return Object.fromEntries(members.map((name, i) => [name, parts[i]!]))
}

/** One value for each member, as one. */
export function bundle({ members }: Bundle, values: Readonly<Record<string, Value>>): Value {
  return members.length === 1
    ? values[members[0]!]!
    : concat(
        members.map(name => values[name]!),
        0,
      )
}

/** As `bundle`, of arrays. */
export function bundleData(
  { members, shape }: Bundle,
  data: Readonly<Record<string, Float32Array>>,
): Float32Array {
  const whole = allocate('float32', sizeOf(shape)) as Float32Array
  let at = 0
  for (const name of members) {
    whole.set(data[name]!, at)
    at += data[name]!.length
  }
  return whole
}

/** As `unbundle`, of arrays. */
export function unbundleData(
  { members }: Bundle,
  specs: Specs,
  whole: Float32Array,
): Record<string, Float32Array> {
  let at = 0
  return Object.fromEntries(
    members.map(name => {
      const from = at
      at += sizeOf(specs[name]!.shape)
      return [name, members.length === 1 ? whole : whole.slice(from, at)]
    }),
  )
}
