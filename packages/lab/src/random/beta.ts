import type { Rng } from './rng.js'

/** A draw from Beta(alpha, alpha), in [0, 1]: as x / (x + y) of two gamma variables, kept as logarithms. */
export function symmetricBeta(alpha: number, rng: Rng): number {
  return 1 / (1 + Math.exp(logGamma(alpha, rng) - logGamma(alpha, rng)))
}

/**
 * Logarithm of a gamma variable of unit scale (Marsaglia and Tsang 2000). For a small shape the variable itself
 * is often too small for a number.
 */
function logGamma(shape: number, rng: Rng): number {
  if (shape < 1) return logGamma(shape + 1, rng) + Math.log(1 - rng.uniform()) / shape
  const d = shape - 1 / 3
  for (;;) {
    const x = rng.normal()
    const v = (1 + x / Math.sqrt(9 * d)) ** 3
    if (v > 0 && Math.log(1 - rng.uniform()) < 0.5 * x * x + d * (1 - v + Math.log(v)))
      return Math.log(d) + Math.log(v)
  }
}
