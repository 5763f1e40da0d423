import { add, cast, expand, mul } from 'onnxgrad'
import { z } from 'zod'
import type { ImageSize } from '../../images/image-source.js'
import { defineAttack } from '../core/define-attack.js'
import type { ImageProgram } from '../core/image-program.js'
import { planOf } from '../core/poison-plan.js'

/** Side of the images that lengths are given for. */
const REFERENCE = 32
const place = z
  .int()
  .min(0)
  .max(REFERENCE - 1)
const level = z.int().min(0).max(255)

export const badnetsParameters = z.strictObject({
  pattern: z
    .enum(['square', 'checkerboard'])
    .default('square')
    .describe('the patch: one colour, or fields of it and of its inverse by turns'),
  size: z.int().min(1).max(REFERENCE).default(5).describe('side of the patch, of 32; scaled with the image'),
  row: place.default(23).describe('row of its upper edge, of 0 to 31; scaled with the image'),
  column: place.default(23).describe('column of its left edge, of 0 to 31; scaled with the image'),
  colour: z
    .tuple([level, level, level])
    .default([255, 255, 255])
    .describe('red, green and blue of the patch'),
})
export type BadnetsParameters = z.infer<typeof badnetsParameters>

/** BadNets: a patch that hides what lies under it. Needs no model, and is the same in training and at test time. */
export const badnets = defineAttack({
  name: 'badnets',
  citation: 'BadNets: Evaluating Backdooring Attacks on Deep Neural Networks, IEEE Access 2019',
  url: 'https://arxiv.org/abs/1708.06733',
  version: 1,
  access: 'data',
  parameters: badnetsParameters,
  presets: {
    measured: {
      summary: 'a white square of 5 pixels that the random crops of training do not cut off',
      parameters: {},
      measured:
        'ASR 96.0 % (94.5–97.1 %, n = 900), CDA 72.7 % (n = 1000), that of the clean twin 72.0 %; PSNR 21.7 dB; bundled ' +
        'CIFAR-10 subset, test split, bundled ViT, 10 % poison, seed 1',
    },
    backdoorbench: {
      summary:
        'a white square of 3 pixels in the lower right corner of 32×32 images, as BackdoorBench has it',
      parameters: { size: 3, row: 29, column: 29 },
      measured:
        'ASR 68.8 % (65.7–71.7 %, n = 900), CDA 69.7 % (n = 1000), that of the clean twin 72.0 %: random crops cut the ' +
        'square off; bundled CIFAR-10 subset, test split, bundled ViT, 10 % poison, seed 1',
    },
  },
  cases: {
    'a white square': {},
    'a coloured checkerboard that reaches beyond the corner': {
      pattern: 'checkerboard',
      size: 9,
      row: 25,
      column: 20,
      colour: [250, 128, 0],
    },
  },
  poison: (context, p) => planOf(context, { poison: patch(context, p) }),
  trigger: patch,
})

function patch({ height, width }: ImageSize, p: BadnetsParameters): ImageProgram {
  const plane = height * width
  const covered = new Float32Array(plane)
  const colours = new Float32Array(3 * plane)
  const [rows, columns] = [extent(p.row, p.size, height), extent(p.column, p.size, width)]
  for (let y = rows.start; y < rows.end; y++) {
    for (let x = columns.start; x < columns.end; x++) {
      covered[y * width + x] = 1
      const inverse = p.pattern === 'checkerboard' && (rows.field(y) + columns.field(x)) % 2 === 1
      for (let c = 0; c < 3; c++)
        colours[c * plane + y * width + x] = inverse ? 255 - p.colour[c]! : p.colour[c]!
    }
  }
  return {
    build(graph, images) {
      const constant = (channels: number, values: Float32Array) =>
        graph.constant('float32', [1, channels, height, width], values)
      const kept = constant(
        1,
        covered.map(value => 1 - value),
      )
      return {
        // Sums of a whole number and 0: exact.
        image: cast(add(mul(cast(images, 'float32'), kept), constant(3, colours)), 'uint8'),
        stages: [
          {
            name: 'patch',
            kind: 'mask',
            value: expand(constant(1, covered), [images.shape[0]!, 1, height, width]),
          },
        ],
      }
    },
  }
}

/** What a patch takes of `side` pixels, at least one, and the field of its own grid that each lies in. */
function extent(from: number, size: number, side: number) {
  const scaled = (at: number) => Math.round((at * side) / REFERENCE)
  const start = Math.min(scaled(from), side - 1)
  const length = Math.max(1, scaled(from + size) - start)
  return {
    start,
    end: Math.min(side, start + length),
    field: (at: number) => Math.floor(((at - start) * size) / length),
  }
}
