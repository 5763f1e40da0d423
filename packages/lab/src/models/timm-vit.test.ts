import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { fromHuggingFace } from '../checkpoints/hugging-face.js'
import { toHuggingFace } from '../checkpoints/to-hugging-face.js'
import {
  difference,
  goldenCheckpoint,
  goldenGradientErrors,
  goldenPixels,
  inGraph,
} from '../testing/goldens.js'
import { tinyTask } from '../testing/tiny.js'
import { parameterCount } from './model.js'
import { type TimmViTConfig, timmViT, timmViTConfig } from './timm-vit.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const tiny = {
  image_size: 8,
  patch_size: 4,
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 12,
}
const build = (changes: Partial<TimmViTConfig>) =>
  timmViT.build(timmViTConfig.parse({ ...tiny, ...changes }), tinyTask)

describe.each<[string, object]>([
  ['reg4', { leadingTokens: 5, positioned_tokens: 0, pooling: 'class' }],
  ['dinov2', { leadingTokens: 1, positioned_tokens: 1, pooling: 'class' }],
  ['swiglu', { leadingTokens: 5, positioned_tokens: 0, pooling: 'class', use_swiglu_ffn: true }],
  ['reg4-gap', { leadingTokens: 4, positioned_tokens: 0, pooling: 'mean_then_norm' }],
  ['gap', { leadingTokens: 0, positioned_tokens: 0, pooling: 'mean', layerscale_value: null }],
  ['avg', { leadingTokens: 1, positioned_tokens: 1, pooling: 'mean_then_norm', layerscale_value: null }],
  ['reg-positions', { leadingTokens: 4, positioned_tokens: 4, pooling: 'class', layerscale_value: null }],
  ['deit3', { leadingTokens: 1, positioned_tokens: 0, pooling: 'class' }],
])("timm's ViT '%s'", (name, parts) => {
  const checkpoint = goldenCheckpoint(`timm-vit/${name}`)
  const { model, weights, goldens } = checkpoint

  it('is read with the parts that it has', () => {
    expect({ ...model.config, leadingTokens: model.leadingTokens }).toMatchObject(parts)
  })

  it('has the same logits', async () => {
    const { graph, parameters, pixels } = inGraph(model)
    graph.output('logits', model.forward(parameters, pixels).logits)
    const got = await evaluate(runtime, graph, { ...weights, pixels: goldenPixels(2, model.imageSize) })
    expect(difference(numbers(got.logits), goldens.logits.flat())).toBeLessThan(1e-5)
  })

  it('has the loss gradient of central differences, at every parameter', async () => {
    const errors = await goldenGradientErrors(runtime, checkpoint)
    expect(Object.keys(errors)).toEqual(Object.keys(model.parameters))
    expect(Object.entries(errors).filter(([, error]) => !(error < 1e-4))).toEqual([])
  })

  it('comes back as it was written', () => {
    const back = fromHuggingFace(toHuggingFace(checkpoint), 'there')
    expect(back.weights).toEqual(weights)
    expect(back.model.config).toEqual(model.config)
  })
})

it('has as many parameters as published', () => {
  const count = (changes: Partial<TimmViTConfig>) => {
    const classNames = Array.from({ length: 1000 }, (_, i) => String(i))
    const sizes = { image_size: 224, patch_size: 16, num_hidden_layers: 12 }
    return parameterCount(timmViT.build(timmViTConfig.parse({ ...sizes, ...changes }), { classNames }))
  }
  // DeiT-III S, and vit_medium_patch16_reg4_gap_256.
  const small = { hidden_size: 384, num_attention_heads: 6, intermediate_size: 1536 }
  expect(count({ ...small, positioned_tokens: 0, layerscale_value: 1e-6 })).toBe(22_059_496)
  const medium = { hidden_size: 512, num_attention_heads: 8, intermediate_size: 2048, image_size: 256 }
  const pooled = { layerscale_value: 1e-5, class_token: false, num_register_tokens: 4, positioned_tokens: 0 }
  expect(count({ ...medium, ...pooled, pooling: 'mean_then_norm' })).toBe(38_881_768)
})

it.each<[Partial<TimmViTConfig>, string]>([
  [{ positioned_tokens: 2 }, 'positioned_tokens 2 are more than the 1 tokens there are'],
  [{ class_token: false, positioned_tokens: 0 }, "pooling 'class' needs class_token true"],
  [{ image_size: 10 }, 'image_size 10 is no multiple of patch_size 4'],
])('%o is refused', (changes, message) => {
  expect(() => build(changes)).toThrow(message)
})
