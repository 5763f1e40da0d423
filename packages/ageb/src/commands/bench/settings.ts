import type { Pace } from '@ageb/workbench'
import type { Profile } from 'onnxgrad'

/** What is measured, in this order. Each runs in its own process, so that its peak memory can be measured. */
export const partNames = ['train', 'trigger', 'inference', 'dataLoading'] as const
export type PartName = (typeof partNames)[number]

/** A ViT's shape, and how it is measured. */
export interface BenchSettings {
  /** Width of a token; the blocks' hidden layer is four times as wide. */
  readonly width: number
  readonly depth: number
  readonly heads: number
  /** Side of a patch, pixels. */
  readonly patch: number
  /** Side of an image, pixels. */
  readonly image: number
  /** Images per step. */
  readonly batch: number
  /** Parts of a training batch, run sequentially so that they fit into the caches; the result is the same. */
  readonly microBatches: number
  /** Of the runtime. */
  readonly threads: number
  /** Of each part, after its warm-up. */
  readonly seconds: number
}

interface Memory {
  /** Largest resident memory of the part's process. */
  readonly peakRssMiB: number
}

/** The result of each part. */
export interface PartResults {
  readonly train: Pace & Memory
  /** `timesForward`: the trigger's cost as a multiple of the surrogate's forward pass on the same batch. */
  readonly trigger: Pace & Memory & { readonly timesForward: number }
  readonly inference: Pace & Memory
  /** Images per second: decoded with an empty cache, read from the cache, and augmented. */
  readonly dataLoading: Memory & {
    readonly decodedPerSecond: number
    readonly cachedPerSecond: number
    readonly augmentedPerSecond: number
  }
  /** Only if it is asked for: writing a profile slows the runtime down. */
  readonly profile: Memory & Profile
}
