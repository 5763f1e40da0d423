/** A share of n cases with its 95 % Wilson interval. All of value, low and high are from 0 to 1. */
export interface Rate {
  readonly value: number
  readonly successes: number
  readonly n: number
  readonly low: number
  readonly high: number
}

/** A mean over n images with the normal 95 % interval of the mean. */
export interface Mean {
  readonly value: number
  readonly n: number
  readonly low: number
  readonly high: number
}

/** `counts[i][j]`: images of true class i called class j. */
export type Confusion = readonly (readonly number[])[]

/** How visible a trigger is: triggered against clean images, both 8-bit. */
export interface Stealth {
  /** Peak signal-to-noise ratio, dB, mean over images. */
  readonly psnr: Mean
  readonly ssim: Mean
  /** Largest change of any value, in 1/255 units, mean over images. */
  readonly linf: Mean
  /** Mean absolute change, in 1/255 units, mean over images. */
  readonly meanAbs: Mean
}

/** What a victim does with clean and triggered test images (definitions: docs/metrics.md). */
export interface BackdoorRates {
  /** Clean data accuracy: clean test images called by their true class. */
  readonly cda: Rate
  /** Attack success rate: triggered images whose true class is not the target, predicted as the target. */
  readonly asr: Rate
  /** Robust accuracy: the images of `asr`, still predicted as their true class. */
  readonly ra: Rate
  /** The images of `asr` without the trigger, predicted as the target. */
  readonly baseRate: Rate
}
