import { symmetricBeta } from '../random/beta.js'
import type { Rng } from '../random/rng.js'

export interface LabelledBatch {
  /** uint8 (N, 3, height, width). */
  readonly pixels: Uint8Array
  readonly height: number
  readonly width: number
  /** One class index an image. */
  readonly labels: ArrayLike<number>
  readonly classes: number
}

export interface MixedBatch {
  /** uint8 (N, 3, height, width). */
  readonly pixels: Uint8Array
  /** float32 (N, classes); every row adds up to 1. */
  readonly targets: Float32Array
}

/**
 * mixup (Zhang et al. 2018): lambda × every image + (1 − lambda) × its partner, rounded to the nearest value, and
 * targets likewise.
 *
 * @param lambda share of the image itself, in [0, 1].
 * @param partners the index of every image's partner.
 */
export function mixup(batch: LabelledBatch, lambda: number, partners: ArrayLike<number>): MixedBatch {
  const { pixels, labels } = batch
  const size = pixels.length / labels.length
  const mixed = new Uint8Array(pixels.length)
  for (let i = 0; i < labels.length; i++) {
    const [own, other] = [i * size, partners[i]! * size]
    for (let j = 0; j < size; j++)
      mixed[own + j] = Math.round(lambda * pixels[own + j]! + (1 - lambda) * pixels[other + j]!)
  }
  return { pixels: mixed, targets: targetsOf(batch, lambda, partners) }
}

/** A rectangle of an image, in pixels. */
export interface Box {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

/**
 * CutMix (Yun et al. 2019): within the box every image shows its partner; targets go by area.
 * @param partners the index of every image's partner.
 */
export function cutmix(batch: LabelledBatch, box: Box, partners: ArrayLike<number>): MixedBatch {
  const { pixels, labels, height, width } = batch
  const mixed = pixels.slice()
  for (let i = 0; i < labels.length; i++) {
    for (let channel = 0; channel < 3; channel++) {
      for (let y = box.top; y < box.top + box.height; y++) {
        const row = (image: number) => ((image * 3 + channel) * height + y) * width + box.left
        const from = row(partners[i]!)
        mixed.set(pixels.subarray(from, from + box.width), row(i))
      }
    }
  }
  const lambda = 1 - (box.height * box.width) / (height * width)
  return { pixels: mixed, targets: targetsOf(batch, lambda, partners) }
}

/**
 * A box of about the share 1 − lambda of the image and of its proportions, whose centre is uniform; what would lie
 * outside is cut off.
 */
export function randomBox(image: { height: number; width: number }, lambda: number, rng: Rng): Box {
  const span = (side: number) => {
    const half = Math.floor(Math.floor(side * Math.sqrt(1 - lambda)) / 2)
    const centre = rng.int(side)
    const start = Math.max(0, centre - half)
    return { start, length: Math.min(side, centre + half) - start }
  }
  const [x, y] = [span(image.width), span(image.height)]
  return { top: y.start, left: x.start, height: y.length, width: x.length }
}

export interface Mixing {
  /** mixup's share is drawn from Beta(mixup, mixup); 0: no mixup. */
  readonly mixup: number
  /** CutMix's share is drawn from Beta(cutmix, cutmix); 0: no CutMix. */
  readonly cutmix: number
}

/** Whether any mixing is on, so that targets are soft. */
export function mixes({ mixup, cutmix }: Mixing): boolean {
  return mixup > 0 || cutmix > 0
}

/**
 * Mixes a batch with a shuffled copy of itself, the whole batch by one share and one box; with both kinds on,
 * either has an equal chance.
 */
export function mix(batch: LabelledBatch, alphas: Mixing, rng: Rng): MixedBatch {
  const cut = alphas.cutmix > 0 && (alphas.mixup === 0 || rng.uniform() < 0.5)
  const lambda = symmetricBeta(cut ? alphas.cutmix : alphas.mixup, rng)
  const partners = rng.permutation(batch.labels.length)
  return cut ? cutmix(batch, randomBox(batch, lambda, rng), partners) : mixup(batch, lambda, partners)
}

function targetsOf(
  { labels, classes }: LabelledBatch,
  lambda: number,
  partners: ArrayLike<number>,
): Float32Array {
  const targets = new Float32Array(labels.length * classes)
  for (let i = 0; i < labels.length; i++) {
    targets[i * classes + labels[i]!]! += lambda
    targets[i * classes + labels[partners[i]!]!]! += 1 - lambda
  }
  return targets
}
