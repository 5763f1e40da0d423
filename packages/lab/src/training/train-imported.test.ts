import { InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import type { Checkpoint } from '../checkpoints/checkpoint.js'
import { fit } from '../checkpoints/fit.js'
import { both } from '../testing/onnx-fixtures.js'
import { tinyImages } from '../testing/tiny.js'
import { train } from './train.js'
import { type TrainingConfig, trainingConfig } from './training-config.js'

// A model that was read from ONNX against the same model of a family here, which is compared with PyTorch elsewhere: a
// weight that is left out, one that decays and should not, or a constant that moves gives other losses.
const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const plain = { warmupEpochs: 0, schedule: 'constant', crop: 0, flip: false, labelSmoothing: 0 } as const

async function losses({ model, weights }: Checkpoint, changes: Partial<TrainingConfig> = {}) {
  const config = trainingConfig.parse({
    ...plain,
    ...{ epochs: 4, batchSize: 6, learningRate: 0.01, weightDecay: 5, clipNorm: null },
    ...changes,
  })
  const data = { ...tinyImages(12, 1, model.imageSize), classNames: model.classNames }
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

describe('a training of a model that was read from ONNX', () => {
  const { imported } = both('checkpoints/vit', 'vit-dynamo')

  it.each([
    [{ stochasticDepth: 0.1 }, 'set training.stochasticDepth to 0'],
    [{ recompute: true }, 'set training.recompute to false'],
    [{ layerDecay: 0.9 }, "layer-wise rates need every parameter's depth"],
  ])('refuses what needs blocks: %o', async (changes, message) => {
    const training = losses(imported, changes)
    await expect(training).rejects.toThrow(InputError)
    await expect(training).rejects.toThrow(message)
  })

  it('freezes initializers by their names', async () => {
    const frozen = Object.keys(imported.model.parameters).filter(name => name !== 'model.classifier.bias')
    const trained = await losses(imported, { frozen, epochs: 1 })
    expect(trained).not.toEqual(await losses(imported, { epochs: 1 }))
  })
})
