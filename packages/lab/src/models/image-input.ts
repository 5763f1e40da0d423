import { div, sub, type Value } from 'onnxgrad'
import type { Task } from './model.js'

/** Mean and standard deviation of a task: those of Hugging Face's ViT where it has none. */
export function normalizationOf({ mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }: Task) {
  return { mean, std }
}

/** @param pixels float32 (N, 3, H, W). */
export function normalize(pixels: Value, { mean, std }: ReturnType<typeof normalizationOf>): Value {
  const perChannel = (values: readonly number[]) => pixels.graph.constant('float32', [1, 3, 1, 1], values)
  return div(sub(pixels, perChannel(mean)), perChannel(std))
}
