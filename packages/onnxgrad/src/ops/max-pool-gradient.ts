import type { Node, Value } from '../graph/graph.js'
import { sizeOf } from '../graph/tensor.js'
import { equal } from './comparison.js'
import { ints } from './define-op.js'
import { add } from './elementwise.js'
import { ScatterElements, scatterElements } from './indexing.js'
import { pad, slice, zeros } from './layout.js'
import { Reshape, reshape } from './reshaping.js'
import { where } from './where.js'
import { reachOf, type Window, windowOf } from './window.js'

// The gradient of MaxPool in two forms, equal to the last bit: each window's gradient goes to the first of its
// largest elements in row-major order, and where windows overlap the sums run over the windows in that order.

const MAX_POOL = 'MaxPool'

/**
 * By the places that the runtime's MaxPool delivers, as one scattered addition.
 * @param indices places in the whole tensor, of the shape of dy.
 */
export function scatterByIndices(x: Value, indices: Value, dy: Value): Value {
  const flat = (value: Value) => reshape(value, [sizeOf(value.shape)])
  const nothing = zeros(x.graph, x.dtype, [sizeOf(x.shape)])
  return reshape(scatterElements(nothing, flat(indices), flat(dy), 0, 'add'), x.shape)
}

/** The MaxPool by whose indices a node scatters, as `scatterByIndices` writes it; null of any other node. */
export function poolingScatteredBy({ definition, inputs }: Node): Node | null {
  if (definition.name !== ScatterElements.name) return null
  const flattened = inputs[1]?.producer
  if (flattened?.definition.name !== Reshape.name) return null
  const indices = flattened.inputs[0]
  const pooling = indices?.producer
  return pooling?.definition.name === MAX_POOL && indices === pooling.outputs[1] ? pooling : null
}

/**
 * Without indices, for providers that have none: finds the largest element of every window by comparing, and gathers
 * for every element what its windows have for it.
 *
 * @param y what MaxPool made of x; dy is of its shape.
 * @param attributes of that MaxPool.
 */
export function routeByComparison(
  x: Value,
  y: Value,
  dy: Value,
  { attributes }: Pick<Node, 'attributes'>,
): Value {
  const [height, width] = ints(attributes, 'kernel_shape')!
  const w = windowOf(attributes, x.shape.slice(2), [height!, width!])
  const [top, left] = [w.pads[0]!, w.pads[1]!]
  // The padded input in blocks of one stride each: block q begins where window q does.
  const blocks = axes(i => Math.ceil((x.shape[i + 2]! + w.pads[i]!) / w.strides[i]!))
  const covering = axes(i => Math.ceil(reachOf(w, i) / w.strides[i]!))
  const before = axes(i => covering[i]! - 1)
  const after = axes(i => Math.max(0, blocks[i]! - y.shape[i + 2]!))
  const around = (value: Value, filling: number) => pad(value, [0, 0, ...before], [0, 0, ...after], filling)
  const [chosen, wanted] = [around(chosenTaps(x, y, w), NO_WINDOW), around(dy, 0)]

  let sum: Value | undefined
  for (let i = before[0]!; i >= 0; i--) {
    for (let j = before[1]!; j >= 0; j--) {
      const taps = tapsOfBlock(w, [i, j])
      if (taps.every(tap => tap === NO_TAP)) continue
      // What the window has that begins i blocks above and j blocks to the left of each block.
      const starts = [before[0]! - i, before[1]! - j]
      const ends = axes(axis => starts[axis]! + blocks[axis]!)
      const perBlock = (value: Value) =>
        reshape(slice(value, [2, 3], starts, ends), [x.shape[0]! * x.shape[1]!, blocks[0]!, 1, blocks[1]!, 1])
      const here = x.graph.constant(x.dtype, [1, 1, w.strides[0]!, 1, w.strides[1]!], taps)
      const part = where(equal(perBlock(chosen), here), perBlock(wanted), x.graph.constant(x.dtype, [], [0]))
      sum = sum ? add(sum, part) : part
    }
  }
  const size = axes(i => blocks[i]! * w.strides[i]!)
  const whole = reshape(sum!, [x.shape[0]!, x.shape[1]!, ...size])
  return slice(whole, [2, 3], [top, left], [top + x.shape[2]!, left + x.shape[3]!])
}

const axes = (of: (i: number) => number): number[] => [0, 1].map(of)

/** Numbers that are no tap's: of an element that a window passes over, and of a window that is not there. */
const [NO_TAP, NO_WINDOW, NONE_FOUND] = [-1, -2, -3]

/** Padding that is not chosen: the smallest number of single precision, as WebGPU's shaders know no infinity. */
const LOWEST = -(2 - 2 ** -23) * 2 ** 127

/** The number of the tap, row-major, at which each window has the first of its largest elements; of y's shape. */
function chosenTaps(x: Value, y: Value, w: Window): Value {
  const reached = axes(i => (y.shape[i + 2]! - 1) * w.strides[i]! + reachOf(w, i))
  const after = axes(i => Math.max(0, reached[i]! - x.shape[i + 2]! - w.pads[i]!))
  const padded = pad(x, [0, 0, w.pads[0]!, w.pads[1]!], [0, 0, ...after], LOWEST)
  const number = (tap: number) => x.graph.constant(x.dtype, [], [tap])
  let chosen = number(NONE_FOUND)
  // Backwards, so that the first one has the last word.
  for (let tap = sizeOf(w.kernel) - 1; tap >= 0; tap--) {
    const at = [Math.floor(tap / w.kernel[1]), tap % w.kernel[1]]
    const starts = axes(i => at[i]! * w.dilations[i]!)
    const ends = axes(i => starts[i]! + (y.shape[i + 2]! - 1) * w.strides[i]! + 1)
    chosen = where(equal(slice(padded, [2, 3], starts, ends, w.strides), y), number(tap), chosen)
  }
  return chosen
}

/** Which taps of a window lie on the elements of the block that is so many blocks below and to the right of it. */
function tapsOfBlock(w: Window, block: readonly number[]): number[] {
  const along = (i: number) =>
    Array.from({ length: w.strides[i]! }, (_, offset) => {
      const tap = (block[i]! * w.strides[i]! + offset) / w.dilations[i]!
      return Number.isInteger(tap) && tap < w.kernel[i]! ? tap : NO_TAP
    })
  const columns = along(1)
  return along(0).flatMap(row =>
    columns.map(column => (row === NO_TAP || column === NO_TAP ? NO_TAP : row * w.kernel[1] + column)),
  )
}
