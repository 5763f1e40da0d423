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

/** The matrix throughput right before and right after a part, GFLOP/s. */
export interface Beside {
  readonly gemmGflopsBefore: number
  readonly gemmGflopsAfter: number
}

/** A part's figures; the first three have their share of the run's best matrix throughput with them. */
export type Measured<Part extends keyof PartResults> = PartResults[Part] &
  Beside &
  (Part extends 'train' | 'trigger' | 'inference' ? { readonly mfu: number } : unknown)

/** What `ageb bench` found out; of the parts, those that were asked for. */
export type BenchResult = {
  /** The best square float32 matrix product of the run, and its size. */
  readonly gemmGflops: number
  readonly gemmSide: number
  /** All that were measured, one before each part and one at the end: how steady the machine was. */
  readonly gemmGflopsMeasured: readonly number[]
  readonly threads: number
  readonly device: 'cpu'
  readonly cpu: string
  readonly environment: Readonly<Record<string, string>>
  readonly settings: BenchSettings
} & { readonly [Part in keyof PartResults]?: Measured<Part> }
