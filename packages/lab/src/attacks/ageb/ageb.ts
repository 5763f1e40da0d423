import { cast, clip, div, mul, round } from 'onnxgrad'
import { z } from 'zod'
import { defineAttack } from '../core/define-attack.js'
import { attentionGradient } from './attention-gradient.js'
import { blend } from './blend.js'
import { elementShapes, erode } from './erosion.js'
import { select } from './selection.js'
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
  share: share.default(0.3).describe('for quantile: share of pixels selected (ρ)'),
  threshold: share.default(0.2).describe('for absolute: threshold on the gradient scaled to [0, 1] (τ)'),
  element: z.enum(elementShapes).default('square').describe("the structuring element's shape"),
  size: z
    .int()
    .min(1)
    .refine(n => n % 2 === 1, 'must be odd')
    .default(3)
    .describe("the structuring element's side, pixels"),
  iterations: z.int().positive().default(1).describe('how often the erosion is repeated'),
  keep: share.default(0.5).describe('share of the original kept where eroded (α)'),
  signal: z.number().min(-255).max(255).default(4).describe('constant added where eroded, in 1/255 (c)'),
  adjustment: z
    .enum(adjustments)
    .default('brightness-saturation')
    .describe('what is moved back to the original'),
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
  parameters: agebParameters,
  needsLabels: ({ label }) => label === 'true-label',
  build(graph, images, surrogate, p) {
    const pixels = div(cast(images, 'float32'), 255)
    const labels = p.label === 'true-label' ? graph.input('labels', 'int64', [images.shape[0]!]) : null
    const gradient = graph.within('attention-gradient', () =>
      attentionGradient(pixels, surrogate, p.gradient, labels),
    )
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
    const triggered = cast(clip(round(mul(adjusted, 255)), 0, 255), 'uint8')
    return { triggered, stages: { 'attention gradient': gradient, mask, eroded } }
  },
})
