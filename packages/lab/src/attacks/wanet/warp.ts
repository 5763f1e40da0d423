import {
  add,
  cast,
  clip,
  expand,
  floor,
  gatherElements,
  mul,
  reshape,
  slice,
  sub,
  type Value,
} from 'onnxgrad'
import type { ImageSize } from '../../images/image-source.js'
import { rng } from '../../random/rng.js'
import { upsampleBicubic } from '../core/upsample.js'

/**
 * Directions of WaNet: uniform in [−1, 1] at every point of a coarse grid.
 * @returns 2 × grid × grid: along the width, then along the height.
 */
export function randomDirections(seed: number, grid: number): Float64Array {
  const random = rng(seed, 'wanet', 'field')
  return Float64Array.from({ length: 2 * grid * grid }, () => random.uniform() * 2 - 1)
}

/**
 * The smooth field of directions on a coarse grid: scaled to a mean magnitude of 1, upsampled bicubically.
 * @param directions 2 × grid × grid.
 * @returns float32 (2, H, W).
 */
export function warpField(directions: Float64Array, grid: number, size: ImageSize): Float32Array {
  const mean = directions.reduce((sum, value) => sum + Math.abs(value), 0) / directions.length
  const plane = (axis: number) =>
    upsampleBicubic(
      directions.subarray(axis * grid * grid, (axis + 1) * grid * grid).map(value => value / mean),
      { rows: grid, columns: grid },
      size,
    )
  return Float32Array.from([...plane(0), ...plane(1)])
}

/**
 * Images read at other places, bilinearly.
 *
 * @param images float32 (N, 3, H, W).
 * @param places float32 (N or 1, 2, H·W) in [−1, 1], column then row: −1 is the middle of the first pixel of an axis, 1
 *   that of its last.
 * @returns float32 (N, 3, H, W).
 */
export function sample(images: Value, places: Value): Value {
  const [batch, , height, width] = images.shape as [number, number, number, number]
  const flat = reshape(images, [batch, 3, height * width])
  const [columns, rows] = [axisOf(places, 0, width), axisOf(places, 1, height)]
  const corner = (row: Value, column: Value) => {
    const index = cast(add(mul(row, width), column), 'int64')
    return gatherElements(flat, expand(index, [batch, 3, height * width]), 2)
  }
  const along = (row: Value) => mix(corner(row, columns.low), corner(row, columns.high), columns.share)
  return reshape(mix(along(rows.low), along(rows.high), rows.share), images.shape)
}

/** Of places in [−1, 1]: the pixels before and after, as float32, and how far it is from the first to the second. */
function axisOf(places: Value, axis: number, side: number) {
  const at = mul(add(slice(places, [1], [axis], [axis + 1]), 1), (side - 1) / 2)
  const low = clip(floor(at), 0, side - 1)
  return { low, high: clip(add(low, 1), 0, side - 1), share: sub(at, low) }
}

const mix = (a: Value, b: Value, share: Value) => add(a, mul(sub(b, a), share))
