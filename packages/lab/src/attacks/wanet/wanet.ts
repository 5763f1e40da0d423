import { add, cast, clip, expand, mul, round } from 'onnxgrad'
import { z } from 'zod'
import type { TriggerContext } from '../core/context.js'
import { defineAttack } from '../core/define-attack.js'
import type { ImageProgram } from '../core/image-program.js'
import { planOf } from '../core/poison-plan.js'
import { type Prepared, preparedFloats } from '../core/prepared.js'
import { randomDirections, sample, warpField } from './warp.js'

export const wanetParameters = z.strictObject({
  grid: z
    .int()
    .min(2)
    .max(32)
    .default(4)
    .describe('points a side of the grid that directions are drawn on (k)'),
  strength: z.number().min(0).default(0.5).describe('mean shift, in half pixels (s)'),
  rescale: z.number().positive().default(1).describe('factor on the places that are read (grid_rescale)'),
  coverRatio: z
    .number()
    .min(0)
    .default(2)
    .describe(
      'for each poisoned image, so many others are warped with noise on the field and keep their label (cross ratio)',
    ),
})
type WanetParameters = z.infer<typeof wanetParameters>

/**
 * WaNet: images are warped along one smooth field. Images warped along that field with noise keep their labels, so
 * that the field itself is learnt and not that there is a warp.
 *
 * The paper warps anew in every batch of a training that it controls; here each training image is warped once.
 */
export const wanet = defineAttack({
  name: 'wanet',
  citation: 'WaNet: Imperceptible Warping-based Backdoor Attack, ICLR 2021',
  url: 'https://arxiv.org/abs/2102.10369',
  version: 1,
  access: 'data',
  parameters: wanetParameters,
  presets: {
    paper: {
      summary: 'k = 4, s = 0.5, noise mode for twice as many images as are poisoned',
      parameters: {},
      measured:
        'hardly learned: ASR 22.9 % (20.3–25.7 %, n = 900), base rate 10.3 %, CDA 69.1 % (n = 1000), that of the clean ' +
        'twin 72.0 %; PSNR 31.7 dB; bundled CIFAR-10 subset, test split, bundled ViT, 10 % poison, seed 1',
    },
    strong: {
      summary: "s = 2, which others take where the paper's strength does too little",
      parameters: { strength: 2 },
      measured:
        'hardly learned either: ASR 26.7 % (23.9–29.7 %, n = 896), base rate 9.7 %, CDA 69.2 % (n = 1000), that of the ' +
        'clean twin 74.0 %; PSNR 21.1 dB; 1,000 held-out images of the bundled CIFAR-10 subset, bundled ViT, 10 % poison, seed 1',
    },
  },
  cases: {
    'as the paper': {},
    'a strong warp of a fine grid, magnified, without cover': {
      grid: 6,
      strength: 3,
      rescale: 0.9,
      coverRatio: 0,
    },
  },
  async prepare({ seed, height, width }, { grid }) {
    const data = warpField(randomDirections(seed, grid), grid, { height, width })
    return { field: { dtype: 'float32', shape: [2, height, width], data } }
  },
  poison: (context, p, prepared) =>
    planOf(context, {
      poison: warp(context, p, prepared, { noise: false }),
      cover: { program: warp(context, p, prepared, { noise: true }), ratio: p.coverRatio },
    }),
  trigger: (context, p, prepared) => warp(context, p, prepared, { noise: false }),
})

/** Reads every image along the field; with `noise`, each at places of its own up to a pixel's share away. */
function warp(
  { height, width }: TriggerContext,
  { strength, rescale }: WanetParameters,
  prepared: Prepared,
  { noise }: { readonly noise: boolean },
): ImageProgram {
  const field = preparedFloats(prepared, 'field', [2, height, width])
  const plane = height * width
  const sides = [width, height]
  const places = field.map((shift, i) => {
    const [axis, at] = [Math.floor(i / plane), i % plane]
    const pixel = axis === 0 ? at % width : Math.floor(at / width)
    const side = sides[axis]!
    const identity = side > 1 ? (2 * pixel) / (side - 1) - 1 : 0
    return Math.min(1, Math.max(-1, (identity + (strength * shift) / side) * rescale))
  })
  const shift = Float32Array.from({ length: plane }, (_, i) =>
    Math.hypot(
      ...[0, 1].map(axis => (strength * field[axis * plane + i]! * (sides[axis]! - 1)) / 2 / sides[axis]!),
    ),
  )
  return {
    ...(noise && { noise: { shape: [2, plane] } }),
    build(graph, images, inputs) {
      const fixed = graph.constant('float32', [1, 2, plane], places)
      const perAxis = (values: readonly number[]) => graph.constant('float32', [1, 2, 1], values)
      // Uniform in [−1, 1] over the side.
      const jitter = inputs.noise && mul(add(mul(inputs.noise, 2), -1), perAxis(sides.map(side => 1 / side)))
      const read = sample(cast(images, 'float32'), jitter ? clip(add(fixed, jitter), -1, 1) : fixed)
      const shown = graph.constant('float32', [1, 1, height, width], shift)
      return {
        image: cast(clip(round(read), 0, 255), 'uint8'),
        stages: [{ name: 'shift', kind: 'map', value: expand(shown, [images.shape[0]!, 1, height, width]) }],
      }
    },
  }
}
