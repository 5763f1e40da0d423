import type { Attributes } from '../graph/graph.js'
import { int, ints } from './define-op.js'

/** How a window of taps slides over the two last axes of (N, C, H, W). */
export interface Window {
  readonly kernel: readonly [number, number]
  readonly strides: readonly number[]
  /** Top, left, bottom, right. */
  readonly pads: readonly number[]
  readonly dilations: readonly number[]
  readonly group: number
}

/**
 * Reads a window from a node's attributes.
 * @param size height and width of what it slides over, by which `auto_pad` is resolved.
 */
export function windowOf(attributes: Attributes, size: readonly number[], kernel: readonly number[]): Window {
  if (size.length !== 2) throw new Error('only two-dimensional windows are supported')
  const strides = ints(attributes, 'strides') ?? [1, 1]
  const dilations = ints(attributes, 'dilations') ?? [1, 1]
  const pads = padsOf(attributes, size, kernel, strides, dilations)
  return { kernel: [kernel[0]!, kernel[1]!], strides, dilations, pads, group: int(attributes, 'group', 1) }
}

function padsOf(
  attributes: Attributes,
  size: readonly number[],
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): number[] {
  const mode = attributes.auto_pad ?? 'NOTSET'
  if (mode === 'NOTSET') return ints(attributes, 'pads') ?? [0, 0, 0, 0]
  if (mode === 'VALID') return [0, 0, 0, 0]
  if (mode !== 'SAME_UPPER' && mode !== 'SAME_LOWER') throw new Error(`auto_pad '${mode}' is not known`)
  const total = [0, 1].map(i => {
    const reach = dilations[i]! * (kernel[i]! - 1) + 1
    return Math.max(0, (Math.ceil(size[i]! / strides[i]!) - 1) * strides[i]! + reach - size[i]!)
  })
  const [less, more] = [total.map(n => Math.floor(n / 2)), total.map(n => Math.ceil(n / 2))]
  return mode === 'SAME_UPPER' ? [...less, ...more] : [...more, ...less]
}

/** Taps that a window reaches over along an axis, gaps included. */
export function reachOf(w: Window, i: number): number {
  return w.dilations[i]! * (w.kernel[i]! - 1) + 1
}

/** Height and width of what a window gives that slides over `size`. */
export function slid(size: readonly number[], w: Window, ceil = false): number[] {
  return [0, 1].map(i => {
    const room = size[i]! + w.pads[i]! + w.pads[i + 2]! - reachOf(w, i)
    const count = (ceil ? Math.ceil : Math.floor)(room / w.strides[i]!) + 1
    // With ceil, a window must still begin inside the input or its leading padding.
    const begins = (count - 1) * w.strides[i]! < size[i]! + w.pads[i]!
    if (room < 0) throw new Error(`a window of ${reachOf(w, i)} does not fit into ${size[i]} elements`)
    return ceil && !begins ? count - 1 : count
  })
}
