import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { classify } from '../inference/classifier.js'
import { buildModel, modelConfig } from '../models/registry.js'
import { strongWeights, tinyImages } from '../testing/tiny.js'
import type { Checkpoint } from './checkpoint.js'
import { fromOnnx } from './from-onnx.js'
import { fromHuggingFace } from './hugging-face.js'
import { toOnnxClassifier } from './to-onnx-classifier.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

function saved(folder: string): Checkpoint {
  const file = (name: string) =>
    readFileSync(fileURLToPath(new URL(`../../fixtures/${folder}/${name}`, import.meta.url)))
  return fromHuggingFace(
    { 'config.json': file('config.json').toString(), 'model.safetensors': file('model.safetensors') },
    folder,
  )
}

function fresh(config: object): Checkpoint {
  const model = buildModel(modelConfig.parse(config), { classNames: ['a', 'b', 'c'] })
  return { model, weights: strongWeights(model, 3), provenance: { poisoned: false } }
}

const checkpoints: [string, Checkpoint][] = [
  ['ViT', saved('checkpoints/vit')],
  [
    'ViT with a stem',
    fresh({ image_size: 16, patch_size: 4, hidden_size: 8, num_attention_heads: 2, conv_stem: [4, 6] }),
  ],
  ['DeiT with both heads', saved('checkpoints/deit-teacher')],
  ['Swin with shifted windows', saved('swin/shifted')],
  [
    'CCT',
    fresh({
      model_type: 'cct',
      image_size: 16,
      hidden_size: 8,
      num_attention_heads: 2,
      num_hidden_layers: 2,
    }),
  ],
  ['ResNet', saved('resnet/bottleneck')],
  ['ResNet with pre-activation', saved('resnet/preact')],
  ['ConvNeXt', saved('convnext/odd')],
]

describe('a classifier written as ONNX', () => {
  it.each(checkpoints)('takes any number of images: %s', async (_, checkpoint) => {
    const { model, weights } = checkpoint
    const bytes = toOnnxClassifier(checkpoint)
    const side = model.imageSize
    const images = tinyImages(3, 1, side)
    const expected = await classify(runtime, model, weights, images)
    const plane = side * side
    const normalized = Float32Array.from(images.pixels, (value, i) => {
      const channel = Math.floor(i / plane) % 3
      return (value / 255 - model.mean[channel]!) / model.std[channel]!
    })
    const session = await runtime.load(bytes)
    for (const count of [1, 3]) {
      const data = normalized.slice(0, count * 3 * plane)
      const shape = [count, 3, side, side]
      const { logits } = await session.run({ pixel_values: { dtype: 'float32', shape, data } })
      expect(logits!.shape).toEqual([count, model.classNames.length])
      expected.slice(0, count).forEach((row, n) => {
        const scale = Math.max(...row.map(Math.abs))
        row.forEach((value, i) => {
          const got = Number(logits!.data[n * row.length + i])
          expect(Math.abs(got - value) / scale).toBeLessThan(1e-5)
        })
      })
    }
    await session.release()
    // What is read again has a free batch as well.
    expect(fromOnnx({ onnx: bytes }, 'model.onnx').model.fixedBatch).toBeUndefined()
    expect(fromOnnx({ onnx: toOnnxClassifier(checkpoint, 2) }, 'model.onnx').model.fixedBatch).toBe(2)
  })
})
