import { concat, div, slice, sub, type Value } from 'onnxgrad'
import type { Task } from './model.js'

/** Mean and standard deviation of a task: those of Hugging Face's ViT where it has none. */
export function normalizationOf({ channels, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }: Task) {
  return { ...(channels && { channels }), mean, std }
}

/** @param pixels float32 (N, 3, H, W): red, green, blue. */
export function normalize(pixels: Value, { channels, mean, std }: ReturnType<typeof normalizationOf>): Value {
  const perChannel = (values: readonly number[]) => pixels.graph.constant('float32', [1, 3, 1, 1], values)
  const ordered =
    channels === 'bgr'
      ? concat(
          [2, 1, 0].map(c => slice(pixels, [1], [c], [c + 1])),
          1,
        )
      : pixels
  return div(sub(ordered, perChannel(mean)), perChannel(std))
}
