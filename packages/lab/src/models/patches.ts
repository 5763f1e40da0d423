import { linear, reshape, slice, transpose, type Value } from 'onnxgrad'
import { z } from 'zod'
import type { AttentionMap } from './model.js'

/** The configuration key of a square input. */
export const imageSide = z.int().positive().max(4096).describe('side of the square input, pixels')

/** @throws RangeError if the patches do not tile the image. */
export function assertPatchesFit(c: { readonly image_size: number; readonly patch_size: number }): void {
  if (c.image_size % c.patch_size !== 0)
    throw new RangeError(`image_size ${c.image_size} is no multiple of patch_size ${c.patch_size}`)
}

/**
 * Square images (N, 3, H, H) to patch tokens (N, patches, width), row by row. A convolution whose stride is its
 * kernel is a matrix product of the patches.
 *
 * @param weight (width, 3, patch, patch)
 */
export function embedPatches(pixels: Value, weight: Value, bias: Value): Value {
  const [batch, channels, height] = pixels.shape as [number, number, number, number]
  const [width, , k] = weight.shape as [number, number, number, number]
  const side = height / k
  const patches = transpose(reshape(pixels, [batch, channels, side, k, side, k]), [0, 2, 4, 1, 3, 5])
  const flat = reshape(weight, [width, channels * k * k])
  return linear(reshape(patches, [batch, side * side, channels * k * k]), flat, bias)
}

/** Attention of tokens that are a square grid of patches, in rows, behind `leading` tokens of another kind. */
export function patchAttention(probabilities: Value, leading: number): AttentionMap {
  return {
    probabilities,
    toGrid(perKey) {
      const [batch, tokens] = perKey.shape as [number, number]
      const side = Math.sqrt(tokens - leading)
      return reshape(slice(perKey, [1], [leading], [tokens]), [batch, 1, side, side])
    },
  }
}

/**
 * Puts the features of every 2×2 cells beside each other: (N, rows, columns, width) to
 * (N, rows / 2, columns / 2, 4 · width), the upper two first. Sides must be even.
 */
export function mergeCells(x: Value): Value {
  const [batch, rows, columns, width] = x.shape as [number, number, number, number]
  const pairs = reshape(x, [(batch * rows) / 2, 2, columns / 2, 2 * width])
  return reshape(transpose(pairs, [0, 2, 1, 3]), [batch, rows / 2, columns / 2, 4 * width])
}
