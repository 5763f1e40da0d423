import { availableParallelism } from 'node:os'
import type { Device, DeviceChoice, Profile } from 'onnxgrad'
import type { Pace } from '../stages/speed.js'

// Loads nothing that measures, so that a command line can offer parts and defaults at once.

/** What is measured, in this order. Each runs in its own process, so that its peak memory can be measured. */
export const partNames = ['train', 'trigger', 'inference', 'dataLoading'] as const
export type PartName = (typeof partNames)[number]
/** A part; `profile` is measured only if it is asked for, as writing one slows the runtime down. */
export type BenchPart = PartName | 'profile'

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
  readonly device: DeviceChoice
  /** Of each part, after its warm-up. */
  readonly seconds: number
}

/** A ViT of DeiT-tiny's width and depth for CIFAR-10. */
export const benchDefaults: BenchSettings = {
  seconds: 20,
  batch: 64,
  microBatches: 4,
  width: 192,
  depth: 12,
  heads: 3,
  patch: 4,
  image: 32,
  threads: availableParallelism(),
  device: 'cpu',
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

/** What was measured; of the parts, those that were asked for. */
export type BenchResult = {
  /** The best square float32 matrix product of the run, and its size. */
  readonly gemmGflops: number
  readonly gemmSide: number
  /** All that were measured, one before each part and one at the end: how steady the machine was. */
  readonly gemmGflopsMeasured: readonly number[]
  readonly threads: number
  /** The one that was used: never 'auto'. */
  readonly device: Device
  readonly cpu: string
  readonly environment: Readonly<Record<string, string>>
  readonly settings: BenchSettings
} & { readonly [Part in keyof PartResults]?: Measured<Part> }
