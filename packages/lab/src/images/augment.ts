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
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y++) {
      const from = y + dy
      const row = (channel * height + y) * width
      if (from < 0 || from >= height) {
        out.fill(0, row, row + width)
        continue
      }
      const source = (channel * height + from) * width
      for (let x = 0; x < width; x++) {
        const at = (mirrored ? width - 1 - x : x) + dx
        out[row + x] = at < 0 || at >= width ? 0 : image[source + at]!
      }
    }
  }
}
