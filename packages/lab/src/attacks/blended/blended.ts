import { add, cast, clip, expand, mul, round } from 'onnxgrad'
import { z } from 'zod'
import type { ImageSize } from '../../images/image-source.js'
import { rng } from '../../random/rng.js'
import type { TriggerContext } from '../core/context.js'
import { defineAttack } from '../core/define-attack.js'
import type { ImageProgram } from '../core/image-program.js'
import { planOf } from '../core/poison-plan.js'
import { type Prepared, preparedFloats } from '../core/prepared.js'
import { upsampleBicubic } from '../core/upsample.js'

/** Side of the grid that smooth noise is drawn on. */
const GRID = 6

export const blendedParameters = z.strictObject({
  pattern: z
    .enum(['uniform', 'smooth'])
    .default('uniform')
    .describe(
      'the picture that is blended in: noise of each pixel its own, or smooth noise; drawn by the seed',
    ),
  alpha: z.number().min(0).max(1).default(0.2).describe('share of the pattern in a triggered image (α)'),
  trainAlpha: z
    .number()
    .min(0)
    .max(1)
    .default(0.2)
    .describe('the same in poisoned training images, where less is less conspicuous'),
})

/** Blended injection: one picture, faintly over every image; fainter in training than at test time, if so wished. */
export const blended = defineAttack({
  name: 'blended',
  citation: 'Targeted Backdoor Attacks on Deep Learning Systems Using Data Poisoning, arXiv 2017',
  url: 'https://arxiv.org/abs/1712.05526',
  version: 1,
  access: 'data',
  parameters: blendedParameters,
  presets: {
    paper: {
      summary: 'a random pattern at α = 0.2, in training as at test time',
      parameters: {},
      measured:
        'ASR 99.4 % (98.7–99.8 %, n = 900), CDA 71.9 % (n = 1000), that of the clean twin 72.0 %; PSNR 22.4 dB; bundled ' +
        'CIFAR-10 subset, test split, bundled ViT, 10 % poison, seed 1',
    },
  },
  cases: {
    'noise, fainter in training': { trainAlpha: 0.1 },
    'smooth noise, half of the image': { pattern: 'smooth', alpha: 0.5, trainAlpha: 0.5 },
  },
  async prepare({ seed, height, width }, { pattern }) {
    const data = pattern === 'smooth' ? smoothNoise(seed, { height, width }) : noise(seed, 3 * height * width)
    return { pattern: { dtype: 'float32', shape: [3, height, width], data } }
  },
  poison: (context, { trainAlpha }, prepared) =>
    planOf(context, { poison: blend(context, trainAlpha, prepared) }),
  trigger: (context, { alpha }, prepared) => blend(context, alpha, prepared),
})

/** x' = α·k + (1 − α)·x with the pattern k, rounded. */
function blend({ height, width }: TriggerContext, alpha: number, prepared: Prepared): ImageProgram {
  const pattern = preparedFloats(prepared, 'pattern', [3, height, width])
  return {
    build(graph, images) {
      const constant = (values: Float32Array) => graph.constant('float32', [1, 3, height, width], values)
      const added = constant(pattern.map(k => alpha * k))
      const blended = add(mul(cast(images, 'float32'), 1 - alpha), added)
      const shown = expand(constant(pattern.map(k => k / 255)), images.shape)
      return {
        image: cast(clip(round(blended), 0, 255), 'uint8'),
        stages: [{ name: 'pattern', kind: 'image', value: shown }],
      }
    },
  }
}

/** Whole numbers from 0 to 255, all as likely. */
function noise(seed: number, count: number): Float32Array {
  const random = rng(seed, 'blended', 'pattern')
  return Float32Array.from({ length: count }, () => random.int(256))
}

/** Noise of a coarse grid in each channel, upsampled. */
function smoothNoise(seed: number, size: ImageSize): Float32Array {
  const grid = noise(seed, 3 * GRID * GRID)
  const out = new Float32Array(3 * size.height * size.width)
  for (let c = 0; c < 3; c++) {
    const coarse = Float64Array.from(grid.subarray(c * GRID * GRID, (c + 1) * GRID * GRID))
    const fine = upsampleBicubic(coarse, { rows: GRID, columns: GRID }, size)
    out.set(
      fine.map(value => Math.round(Math.min(255, Math.max(0, value)))),
      c * fine.length,
    )
  }
  return out
}
