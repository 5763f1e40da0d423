/** Learning rate of step i, counted from 0. */
export type Schedule = (step: number) => number

/** A rate that falls from its peak over a known number of steps, and stays at the end. */
export interface DecayOptions {
  /** Highest learning rate. */
  readonly peak: number
  /** Number of all steps. */
  readonly steps: number
  /** Rate at the end as a share of the peak. Default 0. */
  readonly floor?: number
}

const progressOf = (step: number, steps: number) => Math.min(1, step / Math.max(1, steps))

/** Half a cosine down to the floor (Loshchilov and Hutter 2017, one cycle). */
export function cosine({ peak, steps, floor = 0 }: DecayOptions): Schedule {
  return step => peak * (floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progressOf(step, steps))))
}

/** A straight line down to the floor. */
export function linearDecay({ peak, steps, floor = 0 }: DecayOptions): Schedule {
  return step => peak * (1 - (1 - floor) * progressOf(step, steps))
}

export interface DropOptions {
  /** Highest learning rate. */
  readonly peak: number
  /** What a drop leaves of the rate, in (0, 1). */
  readonly factor: number
  /** Lowest rate as a share of the peak. Default 0. */
  readonly floor?: number
}

/** The rate after so many drops. */
export function dropped(drops: number, { peak, factor, floor = 0 }: DropOptions): number {
  return peak * Math.max(floor, factor ** drops)
}

/** Drops after every `every` steps. */
export function stepDecay({ every, ...drop }: DropOptions & { every: number }): Schedule {
  return step => dropped(Math.floor(step / every), drop)
}

/** Linear rise to the peak over so many steps; then `after`, whose step 0 comes next. */
export function warmup(peak: number, steps: number, after: Schedule): Schedule {
  return step => (step < steps ? (peak * (step + 1)) / steps : after(step - steps))
}

export interface WarmupCosineOptions extends DecayOptions {
  /** Steps over which the rate rises linearly to the peak. Default 0. */
  readonly warmup?: number
}

/** Linear warm-up, then half a cosine down to the floor. */
export function warmupCosine({ peak, steps, warmup: rise = 0, floor }: WarmupCosineOptions): Schedule {
  return warmup(peak, rise, cosine({ peak, steps: steps - rise, ...(floor !== undefined && { floor }) }))
}

/** How a metric went so far. Plain data, so that it can be saved and gone on from. */
export interface Plateau {
  /** Drops so far: the rate is `dropped(drops, …)`. */
  readonly drops: number
  /** Least metric so far. */
  readonly best: number
  /** Metrics in a row that were not better. */
  readonly bad: number
}

/** No metric so far: whatever comes is better than the largest float32. */
export const noPlateau: Plateau = { drops: 0, best: (2 - 2 ** -23) * 2 ** 127, bad: 0 }

/**
 * One more metric, smaller being better, as PyTorch's `ReduceLROnPlateau` takes it: a drop once more than
 * `patience` metrics in a row were not below (1 − threshold) × the best one.
 */
export function observePlateau(
  { drops, best, bad }: Plateau,
  metric: number,
  { patience, threshold = 1e-4 }: { patience: number; threshold?: number },
): Plateau {
  if (metric < best * (1 - threshold)) return { drops, best: metric, bad: 0 }
  return bad + 1 > patience ? { drops: drops + 1, best, bad: 0 } : { drops, best, bad: bad + 1 }
}
