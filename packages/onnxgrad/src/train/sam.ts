import { abs, add, div, mul } from '../ops/elementwise.js'
import { globalNorm } from './global-norm.js'
import type { Optimizer } from './optimizers.js'

export interface SamOptions {
  /** Length ρ of the move uphill. Default 0.05. */
  readonly rho?: number
  /** Measure every parameter's move by its own size (ASAM, Kwon et al. 2021, with η = 0). Default false. */
  readonly adaptive?: boolean
}

/**
 * Sharpness-aware minimization (Foret et al. 2021): any optimizer, given the gradient at w + ρ·g/‖g‖ in place of
 * that at w. A step takes two forward and backward passes.
 */
export function sam(base: Optimizer, { rho = 0.05, adaptive = false }: SamOptions = {}): Optimizer {
  return {
    ...base,
    perturb(parameters, gradients) {
      const sizes = adaptive ? parameters.map(abs) : null
      const sized = sizes ? gradients.map((g, i) => mul(g, sizes[i]!)) : gradients
      const factor = div(rho, add(globalNorm(sized), 1e-12))
      return parameters.map((w, i) => add(w, mul(sizes ? mul(sized[i]!, sizes[i]!) : sized[i]!, factor)))
    },
  }
}
