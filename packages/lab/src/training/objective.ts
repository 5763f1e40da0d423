import { type BatchInput, crossEntropies, crossEntropy, type Feeds, type Graph, type Value } from 'onnxgrad'
import type { ForwardResult, Model } from '../models/model.js'
import type { Rng } from '../random/rng.js'

/** What a loss is built from. */
export interface ObjectiveContext {
  readonly graph: Graph
  /** The model that is trained. */
  readonly model: Model
  /** The batch's images, float32 (N, 3, H, W) in [0, 1]; null in a training that starts behind frozen blocks. */
  readonly images: Value | null
  /** What the data say: int64 (N), a class each; or of mixed images float32 (N, classes), a distribution a row. */
  readonly targets: Value
  /** Share of the target mass that the configuration spreads over all classes. */
  readonly labelSmoothing: number
  /** What the objective declared, by name. */
  readonly inputs: Readonly<Record<string, Value>>
  /** Builds the trained model on the batch, or on other images (as many, with values in [0, 1]). */
  forward(images?: Value): ForwardResult
}

export interface ObjectiveResult {
  /** A scalar, the mean over the batch. */
  readonly loss: Value
  /** Of the batch itself, float32 (N, classes): the training's accuracy is counted from them. */
  readonly logits: Value
  /**
   * What every step hands out besides (see `StepDetails.delivered`): scalars that are sums over the batch, or values
   * with the examples along their first axis, such as the loss of each.
   */
  readonly deliver?: Readonly<Record<string, Value>>
  /** In training, those of the forward pass that moves the running statistics. */
  readonly buffers?: Readonly<Record<string, Value>>
}

/** Where a batch hook is in the training. */
export interface BatchContext {
  /** Number of the step, from 1. */
  readonly step: number
  /** A stream of this step's own: a resumed training draws the same. */
  readonly rng: Rng
  /** Which images of the data, in the order of the examples. */
  readonly indices: Int32Array
}

/** What a training minimizes. */
export interface Objective {
  /** Further feeds of every step, by name, which `batch` adds; `size` is the batch's. Default: none. */
  inputs?(model: Model, size: number): Readonly<Record<string, BatchInput>>
  /** Builds the loss; once, or for every micro-batch, and then again for SAM. */
  loss(context: ObjectiveContext): ObjectiveResult
  /**
   * Changes what a step is fed: `images`, uint8 (N, 3, H, W), augmented, or behind frozen blocks `hidden`; `labels`,
   * int64 (N), or `targets` of mixed images; `branchScale` where there is stochastic depth. It may change arrays in
   * place, but must not keep them.
   *
   * Must be a function of its arguments alone: it is called ahead of the step, and again by a resumed training.
   */
  batch?(feeds: Feeds, context: BatchContext): Feeds | Promise<Feeds>
}

/** What an objective hands out on request. */
export interface Delivery {
  /** Deliver the loss of every example as `losses`, float32 (N). Default false. */
  readonly losses?: boolean
}

/** Cross-entropy against labels, or against the soft targets of mixed images: what a training minimizes by default. */
export function crossEntropyObjective({ losses = false }: Delivery = {}): Objective {
  return {
    loss({ forward, targets, labelSmoothing }) {
      const { logits, buffers } = forward()
      return {
        loss: crossEntropy(logits, targets, labelSmoothing),
        logits,
        ...(losses && { deliver: { losses: crossEntropies(logits, targets, labelSmoothing) } }),
        ...(buffers && { buffers }),
      }
    },
  }
}
