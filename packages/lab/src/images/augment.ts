import type { Rng } from '../random/rng.js'

export interface Augmentation {
  /** Random crop out of the image padded by so many zero pixels on each side; 0: none. */
  readonly crop: number
  /** Mirror half of the images left to right. */
  readonly flip: boolean
}

/**
 * Writes a randomly shifted and mirrored copy of a planar image (uint8, 3 × height × width) to `out`.
 * What the shift uncovers is black, as in PyTorch's `RandomCrop(padding=…)`.
 */
export function augment(
  image: Uint8Array,
  out: Uint8Array,
  { height, width }: { height: number; width: number },
  { crop, flip }: Augmentation,
  rng: Rng,
): void {
  const dy = crop > 0 ? rng.int(2 * crop + 1) - crop : 0
  const dx = crop > 0 ? rng.int(2 * crop + 1) - crop : 0
  const mirrored = flip && rng.uniform() < 0.5
  const plane = height * width
  // Rows [top, bottom) and columns [left, right) of the result show the image; around them it is black.
  const [top, bottom] = [Math.max(0, -dy), Math.min(height, height - dy)]
  const sideways = mirrored ? -dx : dx
  const [left, right] = [Math.max(0, -sideways), Math.min(width, width - sideways)]
  if (bottom <= top || right <= left) {
    out.fill(0)
    return
  }
  for (let start = 0; start < 3 * plane; start += plane) {
    const [first, end] = [start + top * width, start + bottom * width]
    out.fill(0, start, first)
    out.fill(0, end, start + plane)
    if (mirrored) {
      for (let row = first; row < end; row += width) {
        let from = row + dy * width + width - 1 + dx - left
        for (let to = row + left; to < row + right; to++) out[to] = image[from--]!
      }
    } else {
      // All rows at once: what wraps into a neighbouring row lies in the columns that become black.
      const [from, to] = [first + dy * width + left + dx, first + left]
      out.set(image.subarray(from, from + end - first - width + right - left), to)
    }
    for (let row = first; row < end; row += width) {
      for (let x = row; x < row + left; x++) out[x] = 0
      for (let x = row + right; x < row + width; x++) out[x] = 0
    }
  }
}
