import { cast, clip, div, InputError, mul, round } from 'onnxgrad'
import { z } from 'zod'
import type { ImageSize } from '../../images/image-source.js'
import { surrogateIn } from '../core/context.js'
import { defineAttack } from '../core/define-attack.js'
import type { ImageMap, ImageProgram } from '../core/image-program.js'
import { planOf } from '../core/poison-plan.js'
import { smallestShare } from '../core/shares.js'
import { inputSizeOf, type Surrogate } from '../core/surrogate.js'
import { attentionGradient } from './attention-gradient.js'
import { blend } from './blend.js'
import { elementShapes, erode } from './erosion.js'
import { select, selectedPixels } from './selection.js'
import { adjust, adjustments } from './stealth-adjustment.js'

const share = z.number().min(0).max(1)

export const agebParameters = z.strictObject({
  gradient: z
    .enum(['pixel', 'patch', 'class-token'])
    .default('pixel')
    .describe('what the attention gradient is taken at; class-token: where the surrogate has one'),
  label: z
    .enum(['prediction', 'true-label'])
    .default('prediction')
    .describe('the class that the loss is taken against'),
  selection: z.enum(['quantile', 'absolute']).default('quantile').describe('how the threshold is set'),
  share: share.default(0.01).describe('for quantile: share of pixels selected (ρ)'),
  threshold: share.default(0.2).describe('for absolute: threshold on the gradient scaled to [0, 1] (τ)'),
  element: z.enum(elementShapes).default('square').describe("the structuring element's shape"),
  size: z
    .int()
    .min(1)
    .refine(n => n % 2 === 1, 'must be odd')
    .default(3)
    .describe("the structuring element's side, pixels"),
  iterations: z.int().positive().default(1).describe('how often the erosion is repeated'),
  keep: share.default(0.7).describe('share of the original kept where eroded (α)'),
  signal: z.number().min(-255).max(255).default(200).describe('constant added where eroded, in 1/255 (c)'),
  adjustment: z.enum(adjustments).default('off').describe('what is moved back to the original'),
})
export type AgebParameters = z.infer<typeof agebParameters>

/**
 * Attention-gradient-based erosion: the five stages, composed. Pure: depends on the image and the surrogate alone.
 */
export const ageb = defineAttack({
  name: 'ageb',
  citation:
    'Backdoor Attack Against Vision Transformers via Attention Gradient-Based Image Erosion, IEEE GLOBECOM 2024',
  url: 'https://arxiv.org/abs/2410.22678',
  version: 2,
  access: 'data',
  parameters: agebParameters,
  presets: {
    measured: {
      summary: 'few pixels, strongly changed: what works on the bundled data',
      parameters: {},
      measured:
        'ASR 94.1 % (92.4–95.5 %, n = 900) at PSNR 25.06 dB; CDA 71.6 % (n = 1000), that of the clean twin 72.0 %; ' +
        'bundled CIFAR-10 subset, test split, bundled ViT, 10 % poison, seed 1: docs/results.md',
    },
    paper: {
      summary: 'many pixels, faintly changed, brightness and saturation moved back: what the paper describes',
      parameters: {
        share: 0.3,
        keep: 0.5,
        signal: 4,
        adjustment: 'brightness-saturation',
      },
    },
  },
  cases: {
    defaults: { share: 0.1 },
    paper: { share: 0.3, keep: 0.5, signal: 4, adjustment: 'brightness-saturation' },
    'true labels, absolute': { label: 'true-label', selection: 'absolute', threshold: 0.3 },
    'patches, disk': { gradient: 'patch', element: 'disk', size: 5, share: 0.5 },
    'class token, twice': {
      gradient: 'class-token',
      iterations: 2,
      keep: 0,
      adjustment: 'brightness',
      share: 0.6,
    },
  },
  needs: () => ({ surrogate: true }),
  poison: (context, p) => planOf(context, { poison: program(surrogateIn(context), p) }),
  trigger: (context, p) => program(surrogateIn(context), p),
})

function program(surrogate: Surrogate, p: AgebParameters): ImageProgram {
  assertChanges(p, inputSizeOf(surrogate))
  return {
    maps: { 'attention-gradients': gradientMap(surrogate, p) },
    build(graph, images, { maps }) {
      const pixels = div(cast(images, 'float32'), 255)
      const gradient = maps['attention-gradients']!
      const mask = graph.within('selection', () =>
        select(
          gradient,
          p.selection === 'quantile'
            ? { kind: 'quantile', share: p.share }
            : { kind: 'absolute', threshold: p.threshold },
        ),
      )
      const eroded = graph.within('erosion', () =>
        erode(pixels, { shape: p.element, size: p.size }, p.iterations),
      )
      const blended = graph.within('blend', () => blend(pixels, eroded, mask, p))
      const adjusted = graph.within('stealth', () => adjust(blended, pixels, p.adjustment))
      return {
        image: cast(clip(round(mul(adjusted, 255)), 0, 255), 'uint8'),
        stages: [
          { name: 'attention gradient', kind: 'map', value: gradient },
          { name: 'mask', kind: 'mask', value: mask },
          { name: 'eroded', kind: 'image', value: eroded },
        ],
      }
    },
  }
}

/**
 * Refuses, before anything is computed, parameters that change no image of a size.
 * @throws InputError naming the parameter
 */
function assertChanges(
  { selection, share, threshold, size, keep, signal }: AgebParameters,
  image: ImageSize,
): void {
  const { height, width } = image
  if (selection === 'quantile' && selectedPixels(share, image) === 0) {
    throw new InputError(
      `attack.share ${share} of ${width}×${height} pixels is none: the smallest share is ${smallestShare(height * width)}`,
    )
  }
  if (selection === 'absolute' && threshold === 1)
    throw new InputError('attack.threshold 1 is exceeded by no pixel: lower it')
  if (size > Math.min(height, width))
    throw new InputError(
      `attack.size ${size}: the structuring element is larger than the images, ${width}×${height}: lower it`,
    )
  if (signal === 0 && (keep === 1 || size === 1)) {
    const why = keep === 1 ? 'attack.keep 1 keeps the original' : 'attack.size 1 erodes nothing'
    throw new InputError(`${why}, and attack.signal 0 adds nothing, so no image is changed: set one of them`)
  }
}

/** Stage 1, which all thresholds, elements, blends and adjustments share. */
function gradientMap(
  surrogate: Surrogate,
  { gradient, label }: Pick<AgebParameters, 'gradient' | 'label'>,
): ImageMap {
  const { fixedBatch } = surrogate.model
  const { height, width } = inputSizeOf(surrogate)
  return {
    // Computed only where the map is stored: a surrogate's id takes a while.
    get key() {
      return { map: 'attention gradient', version: 1, gradient, label, surrogate: surrogate.id }
    },
    labels: label === 'true-label',
    ...(fixedBatch !== undefined && { fixedBatch }),
    shape: [1, height, width],
    build: (graph, images, { labels }) =>
      graph.within('attention-gradient', () =>
        attentionGradient(div(cast(images, 'float32'), 255), surrogate, gradient, labels ?? null),
      ),
  }
}
