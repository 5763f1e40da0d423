import { min, pad, slice, type Value } from 'onnxgrad'

export const elementShapes = ['square', 'cross', 'disk', 'horizontal', 'vertical'] as const

export interface StructuringElement {
  readonly shape: (typeof elementShapes)[number]
  /** Odd; pixels. */
  readonly size: number
}

/** The offsets (row, column) that a flat structuring element covers. */
export function offsetsOf({ shape, size }: StructuringElement): [number, number][] {
  if (size < 1 || size % 2 === 0)
    throw new RangeError(`the structuring element's size must be odd, not ${size}`)
  const r = (size - 1) / 2
  const covers: Record<StructuringElement['shape'], (dy: number, dx: number) => boolean> = {
    square: () => true,
    cross: (dy, dx) => dy === 0 || dx === 0,
    disk: (dy, dx) => dy * dy + dx * dx <= r * r,
    horizontal: dy => dy === 0,
    vertical: (_, dx) => dx === 0,
  }
  const offsets: [number, number][] = []
  for (let dy = -r; dy <= r; dy++) {
    for (let dx = -r; dx <= r; dx++) if (covers[shape](dy, dx)) offsets.push([dy, dx])
  }
  return offsets
}

/**
 * Stage 3: grayscale erosion x ⊖ S of every channel by a flat structuring element: each pixel becomes the least
 * value under S. What lies outside the image does not count.
 *
 * @param pixels float32 (N, C, H, W), at most 1.
 */
export function erode(pixels: Value, element: StructuringElement, iterations: number): Value {
  const offsets = offsetsOf(element)
  const r = (element.size - 1) / 2
  const [, , height, width] = pixels.shape as [number, number, number, number]
  let eroded = pixels
  for (let i = 0; i < iterations; i++) {
    const wide = pad(eroded, [0, 0, r, r], [0, 0, r, r], 1)
    eroded = min(
      ...offsets.map(([dy, dx]) => slice(wide, [2, 3], [r + dy, r + dx], [r + dy + height, r + dx + width])),
    )
  }
  return eroded
}
