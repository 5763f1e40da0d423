/** Learning rate of step i, counted from 0. */
export type Schedule = (step: number) => number

export interface WarmupCosineOptions {
  /** Highest learning rate. */
  readonly peak: number
  /** Number of all steps. */
  readonly steps: number
  /** Steps over which the rate rises linearly to the peak. Default 0. */
  readonly warmup?: number
  /** Rate at the end as a share of the peak. Default 0. */
  readonly floor?: number
}

/** Linear warm-up, then half a cosine down to the floor (Loshchilov and Hutter 2017, one cycle). */
export function warmupCosine({ peak, steps, warmup = 0, floor = 0 }: WarmupCosineOptions): Schedule {
  return step => {
    if (step < warmup) return (peak * (step + 1)) / warmup
    const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progress)))
  }
}
