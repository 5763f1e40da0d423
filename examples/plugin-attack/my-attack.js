import { defineAttack, planOf } from '@ageb/lab'
import { add, cast, mul } from 'onnxgrad'
import { z } from 'zod'

const parameters = z.strictObject({
  size: z.int().min(2).max(16).default(4).describe('side of the checkerboard, pixels'),
})

/** A checkerboard in the upper left corner: images (uint8, N × 3 × height × width) in, images of the same kind out. */
function checkerboard({ height, width }, { size }) {
  const plane = valueAt =>
    Float32Array.from({ length: height * width }, (_, i) => valueAt(i % width, Math.floor(i / width)))
  const isInside = (x, y) => x < size && y < size
  const kept = plane((x, y) => (isInside(x, y) ? 0 : 1))
  const fields = plane((x, y) => (isInside(x, y) && (x + y) % 2 === 1 ? 255 : 0))
  return {
    build(graph, images) {
      const constant = values => graph.constant('float32', [1, 1, height, width], values)
      const image = add(mul(cast(images, 'float32'), constant(kept)), constant(fields))
      return { image: cast(image, 'uint8'), stages: [] }
    },
  }
}

export default defineAttack({
  name: 'corner-checkerboard',
  citation: 'A patch as in BadNets: Evaluating Backdooring Attacks on Deep Neural Networks, IEEE Access 2019',
  url: 'https://arxiv.org/abs/1708.06733',
  version: 1,
  access: 'data',
  parameters,
  presets: {
    small: { summary: 'four pixels a side', parameters: {} },
    large: { summary: 'eight pixels a side', parameters: { size: 8 } },
  },
  cases: { small: {}, large: { size: 8 } },
  poison: (context, p) => planOf(context, { poison: checkerboard(context, p) }),
  trigger: checkerboard,
})
