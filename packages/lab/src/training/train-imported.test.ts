import { InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import type { Checkpoint } from '../checkpoints/checkpoint.js'
import { fit } from '../checkpoints/fit.js'
import { imagesInMemory } from '../images/image-set.js'
import type { ImageSource } from '../images/image-source.js'
import { both, bytes } from '../testing/onnx-fixtures.js'
import { tinyImages } from '../testing/tiny.js'
import { assertTrainable } from './assert-trainable.js'
import { train } from './train.js'
import { type TrainingConfig, trainingConfig } from './training-config.js'

// A model that was read from ONNX against the same model of a family here, which is compared with PyTorch elsewhere: a
// weight that is left out, one that decays and should not, or a constant that moves gives other losses.
const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const plain = { warmupEpochs: 0, schedule: 'constant', crop: 0, flip: false, labelSmoothing: 0 } as const

const configured = (changes: object) =>
  trainingConfig.parse({
    ...plain,
    ...{ epochs: 4, batchSize: 6, learningRate: 0.01, weightDecay: 5, clipNorm: null },
    ...changes,
  })

async function losses(
  { model, weights }: Checkpoint,
  changes: Partial<TrainingConfig> = {},
  data: ImageSource = { ...tinyImages(12, 1, model.imageSize), classNames: model.classNames },
) {
  const config = configured(changes)
  const found: number[] = []
  await train({
    runtime,
    model,
    from: weights,
    data,
    config,
    seed: 1,
    onStep: ({ loss }) => found.push(loss),
  })
  return found
}

/** Both names of what is frozen: this exporter computes Swin's biases of all pairs from its tables beforehand. */
const pairs: [file: string, folder: string, frozen?: readonly [string[], string[]]][] = [
  ['vit-dynamo', 'checkpoints/vit'],
  ['vit-script-decomposed', 'checkpoints/vit'],
  ['dinov2-dynamo', 'dinov2/plain'],
  ['deit-teacher-script', 'checkpoints/deit-teacher'],
  [
    'swin-dynamo',
    'swin/shifted',
    [
      ['0.blocks.0', '0.blocks.1', '1.blocks.0'].map(
        block => `swin.encoder.layers.${block}.attention.self.relative_position_bias_table`,
      ),
      ['unsqueeze', 'unsqueeze_9', 'unsqueeze_12'],
    ],
  ],
]

describe.each(pairs)('a training of %s', (file, folder, [frozen, frozenInFile] = [[], []]) => {
  it("goes as its family's does", async () => {
    const { own, imported } = both(folder, file)
    const { classNames } = own.model
    const [expected, got] = [
      await losses(fit(own, { classNames, seed: 1 }), { frozen }),
      await losses(fit(imported, { classNames, seed: 1 }), { frozen: frozenInFile }),
    ]
    got.forEach((loss, i) => {
      expect(Math.abs(loss - expected[i]!), `step ${i + 1}`).toBeLessThan(1e-4 * expected[0]!)
    })
  })
})

// PyTorch's losses for the model that was exported: tools/check-onnx-training.py.
const golden = JSON.parse(new TextDecoder().decode(bytes('onnx/dinov2-training.json'))) as {
  config: TrainingConfig
  cases: { file: string; side: number; losses: number[] }[]
}

describe.each(golden.cases)('a training of $file at $side pixels', ({ file, side, losses: expected }) => {
  it('goes as in PyTorch', async () => {
    const { model, weights } = both('dinov2/plain', file).imported
    const { classNames } = model
    const start = fit(
      { model, weights, provenance: { poisoned: false } },
      { classNames, imageSize: side, seed: 1 },
    )
    const got = await losses(start, golden.config, images(side, classNames))
    expect(expected.at(-1)).toBeLessThan(0.9 * expected[0]!)
    got.forEach((loss, i) => {
      expect(Math.abs(loss - expected[i]!), `step ${i + 1}`).toBeLessThan(1e-4)
    })
  })
})

/** The images that PyTorch was trained on: of class i mod 3, the one of whose channels is brighter. */
function images(side: number, classNames: readonly string[]) {
  const plane = side * side
  const pixels = Uint8Array.from({ length: 12 * 3 * plane }, (_, k) => {
    const bright = Math.floor(k / plane) % 3 === Math.floor(k / (3 * plane)) % 3
    return (((k * 7919) % 1000003) % 180) + (bright ? 70 : 0)
  })
  const labels = Int32Array.from({ length: 12 }, (_, i) => i % 3)
  return imagesInMemory({
    name: 'images',
    split: 'train',
    height: side,
    width: side,
    pixels,
    labels,
    classNames,
  })
}

describe('a training of a model that was read from ONNX', () => {
  const { imported } = both('checkpoints/vit', 'vit-dynamo')

  it.each([
    [{ stochasticDepth: 0.1 }, 'training.stochasticDepth: this onnx model has no branches'],
    [{ recompute: true }, 'training.recompute: this onnx model does not tell its blocks apart'],
    [{ layerDecay: 0.9 }, "layer-wise rates need every parameter's depth"],
  ])('is refused with what needs blocks: %o', (changes, message) => {
    const check = () => assertTrainable(imported.model, configured(changes), tinyImages(12, 1, 16))
    expect(() => assertTrainable(imported.model, configured({}), tinyImages(12, 1, 16))).not.toThrow()
    expect(check).toThrow(InputError)
    expect(check).toThrow(message)
  })

  it('of one image a run takes a micro-batch for each image', async () => {
    const single = both('dinov2/plain', 'dinov2-dynamo-single').imported
    expect(single.model.fixedBatch).toBe(1)
    const data = tinyImages(12, 1, 16)
    const check = (changes: object) => assertTrainable(single.model, configured(changes), data)
    expect(() => check({})).toThrow(/exactly 1 image a run: set training.microBatches to 6/)
    expect(() => check({ microBatches: 6 })).not.toThrow()
    const free = await losses(both('dinov2/plain', 'dinov2-dynamo').imported)
    const got = await losses(single, { microBatches: 6 })
    got.forEach((loss, i) => {
      expect(loss).toBeCloseTo(free[i]!, 4)
    })
  })

  it('freezes initializers by their names', async () => {
    const frozen = Object.keys(imported.model.parameters).filter(name => name !== 'model.classifier.bias')
    const trained = await losses(imported, { frozen, epochs: 1 })
    expect(trained).not.toEqual(await losses(imported, { epochs: 1 }))
  })
})
