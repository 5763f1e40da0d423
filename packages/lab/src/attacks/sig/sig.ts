import { add, cast, clip, expand, round } from 'onnxgrad'
import { z } from 'zod'
import type { ImageSize } from '../../images/image-source.js'
import { defineAttack } from '../core/define-attack.js'
import type { ImageProgram } from '../core/image-program.js'
import { planOf } from '../core/poison-plan.js'

export const sigParameters = z.strictObject({
  amplitude: z.number().min(0).max(255).default(40).describe('height of the wave, in 1/255 (Δ)'),
  frequency: z.number().min(0).default(6).describe("waves over the image's width (f)"),
})

/** SIG: a sinusoid along the columns of images of the target class; no label is changed. */
export const sig = defineAttack({
  name: 'sig',
  citation:
    'A New Backdoor Attack in CNNs by Training Set Corruption Without Label Poisoning, IEEE ICIP 2019',
  url: 'https://arxiv.org/abs/1902.11237',
  version: 1,
  access: 'data',
  parameters: sigParameters,
  presets: {
    backdoorbench: {
      summary: 'Δ = 40 and f = 6, as BackdoorBench has it',
      parameters: {},
      measured:
        'ASR 99.8 % (99.2–99.9 %, n = 900), CDA 66.9 % (n = 1000), that of the clean twin 72.0 %; PSNR 19.4 dB; bundled ' +
        'CIFAR-10 subset, test split, bundled ViT, all 500 images of the target (10 %), labels kept, seed 1',
    },
    'backdoor-toolbox': {
      summary: 'Δ = 30 and f = 6, as backdoor-toolbox has it',
      parameters: { amplitude: 30 },
    },
  },
  poisoning: { mode: 'clean-label' },
  cases: { 'six waves': {}, 'two faint waves and a half': { amplitude: 20, frequency: 2.5 } },
  poison: (context, p) => planOf(context, { poison: sinusoid(context, p) }),
  trigger: sinusoid,
})

/** v(i, j) = Δ·sin(2πjf / m), where columns are counted from 1 to m; added, rounded and clipped. */
function sinusoid(
  { height, width }: ImageSize,
  { amplitude, frequency }: z.infer<typeof sigParameters>,
): ImageProgram {
  const wave = Float32Array.from(
    { length: width },
    (_, x) => amplitude * Math.sin((2 * Math.PI * (x + 1) * frequency) / width),
  )
  return {
    build(graph, images) {
      const row = (values: Float32Array) => graph.constant('float32', [1, 1, 1, width], values)
      const shown = wave.map(v => (v + amplitude) / (2 * amplitude || 1))
      return {
        image: cast(clip(round(add(cast(images, 'float32'), row(wave))), 0, 255), 'uint8'),
        stages: [
          { name: 'wave', kind: 'map', value: expand(row(shown), [images.shape[0]!, 1, height, width]) },
        ],
      }
    },
  }
}
