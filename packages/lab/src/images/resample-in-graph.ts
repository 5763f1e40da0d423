import { clip, matmul, swapLast, type Value } from 'onnxgrad'
import type { ImageSize } from './image-source.js'
import { type Arithmetic, columnsFirst, type Resampling, resamplingMatrix } from './resample.js'

/** How pictures are resized. */
export interface Resizing {
  readonly resampling: Resampling
  readonly arithmetic: Arithmetic
}

/**
 * `resample` as a part of a graph, which gradients are carried through: two matrix products, which every device has. It
 * rounds nothing, so it differs by 1/255 or a little more from what is rounded to 8 bits along each axis. What a kernel
 * overshoots is cut off, except behind 'torch-float'.
 *
 * @param pixels float32 (N, C, H, W) in [0, 1].
 * @returns float32 (N, C, height, width).
 */
export function resampleInGraph(
  pixels: Value,
  { height, width }: ImageSize,
  { resampling, arithmetic }: Resizing,
): Value {
  const overshoots = resampling === 'bicubic' || resampling === 'lanczos'
  const bounded = (value: Value) => (overshoots && arithmetic !== 'torch-float' ? clip(value, 0, 1) : value)
  const alongRows = (value: Value, to: number) => {
    const from = value.shape.at(-1)!
    if (from === to) return value
    const matrix = resamplingMatrix(from, to, resampling, arithmetic)
    return bounded(matmul(value, value.graph.constant('float32', [from, to], matrix)))
  }
  const alongColumns = (value: Value, to: number) =>
    value.shape.at(-2) === to ? value : swapLast(alongRows(swapLast(value), to))
  const [, , rows, columns] = pixels.shape as [number, number, number, number]
  return columnsFirst({ height: rows, width: columns }, { height, width }, arithmetic)
    ? alongRows(alongColumns(pixels, height), width)
    : alongColumns(alongRows(pixels, width), height)
}
