import { Graph } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { attentionGradient } from '../attacks/ageb/attention-gradient.js'
import { fromHuggingFace } from '../checkpoints/hugging-face.js'
import { parseSafetensors } from '../checkpoints/safetensors.js'
import { toHuggingFace } from '../checkpoints/to-hugging-face.js'
import { rng } from '../random/rng.js'
import {
  difference,
  goldenCheckpoint,
  goldenGradientErrors,
  goldenPixels,
  inGraph,
} from '../testing/goldens.js'
import { strongWeights } from '../testing/tiny.js'
import { trainTiny } from '../testing/train-tiny.js'
import { type ConvNextConfig, convnext, convnextConfig } from './convnext.js'
import { initialWeights, parameterCount } from './model.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const tiny = { image_size: 16, patch_size: 2, hidden_sizes: [4, 6], depths: [2, 1] }
const build = (changes: Partial<ConvNextConfig>, classes = 3) =>
  convnext.build(convnextConfig.parse(changes), {
    classNames: Array.from({ length: classes }, (_, i) => `c${i}`),
  })

describe.each(['even', 'odd', 'no-layer-scale'])("transformers' ConvNeXt '%s'", name => {
  const checkpoint = goldenCheckpoint(`convnext/${name}`)
  const { model, weights, goldens } = checkpoint

  it('has the same logits and last activations', async () => {
    const { graph, parameters, pixels } = inGraph(model)
    const { logits, attention, activations } = model.forward(parameters, pixels)
    expect(attention).toEqual([])
    graph.output('logits', logits)
    graph.output('activations', activations!)
    const got = await evaluate(runtime, graph, { ...weights, pixels: goldenPixels(2, model.imageSize) })
    expect(difference(numbers(got.logits), goldens.logits.flat())).toBeLessThan(5e-6)
    const wanted = goldens.activations!
    expect(got.activations!.shape).toEqual([
      2,
      wanted[0]!.length,
      wanted[0]![0]!.length,
      wanted[0]![0]!.length,
    ])
    expect(difference(numbers(got.activations), wanted.flat(3))).toBeLessThan(1e-5)
  })

  it('has the loss gradient of central differences, at every parameter', async () => {
    const errors = await goldenGradientErrors(runtime, checkpoint)
    expect(Object.keys(errors)).toEqual(Object.keys(model.parameters))
    expect(Object.entries(errors).filter(([, error]) => !(error < 1e-4))).toEqual([])
  })

  it('is written as it was read', () => {
    const files = toHuggingFace(checkpoint)
    const again = parseSafetensors(files['model.safetensors'], name).tensors
    expect([...again.keys()].sort()).toEqual(Object.keys(goldens.gradients).sort())
    for (const [key, { data }] of again) expect(data).toEqual(weights[key])
    // transformers goes by it, and not by the lengths of the lists.
    expect(JSON.parse(files['config.json']).num_stages).toBe(model.config.num_stages)
    expect(fromHuggingFace(files, name).model.config).toEqual(model.config)
  })
})

describe('the attention gradient of a ConvNeXt', () => {
  it.each(['pixel', 'patch'] as const)("is taken at its last activations, at '%s'", async at => {
    const { model, weights } = goldenCheckpoint('convnext/even')
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2, 3, 32, 32])
    graph.output('g', attentionGradient(x, { model, weights }, at, null))
    const { g } = await evaluate(runtime, graph, { x: goldenPixels(2, 32) })
    expect(g!.shape).toEqual([2, 1, 32, 32])
    const first = new Set(numbers(g).slice(0, 1024)).size
    // 4×4 cells of 8×8 pixels.
    if (at === 'patch') expect(first).toBe(16)
    else expect(first).toBeGreaterThan(1000)
  })
})

describe('stochastic depth', () => {
  it('drops the branches of one image in the order of the blocks', async () => {
    const model = build(tiny)
    expect(model.branches).toBe(3)
    expect(model.blocks).toEqual(['block0', 'block1', 'block2'])
    const weights = strongWeights(model, 3)
    const { graph, parameters, pixels } = inGraph(model)
    const branchScale = graph.input('branchScale', 'float32', [3, 2])
    graph.output('logits', model.forward(parameters, pixels, { branchScale }).logits)
    graph.output('plain', model.forward(parameters, pixels).logits)
    const feeds = { pixels: goldenPixels(2, 16), branchScale: [1, 1, 0, 1, 1, 1] }
    const got = await evaluate(runtime, graph, { ...weights, ...feeds })
    const scale = 'convnext.encoder.stages.0.layers.1.layer_scale_parameter'
    const still = { ...weights, [scale]: new Float32Array(4) }
    const without = await evaluate(runtime, graph, { ...still, ...feeds })
    const [dropped, plain] = [numbers(got.logits), numbers(got.plain)]
    expect(difference(dropped.slice(0, 3), numbers(without.plain).slice(0, 3))).toBeLessThan(1e-5)
    expect(difference(dropped.slice(0, 3), plain.slice(0, 3))).toBeGreaterThan(0.01)
    expect(dropped.slice(3)).toEqual(plain.slice(3))
  })
})

describe('parameters', () => {
  it('of ConvNeXt-T with 1000 classes number as many as published', () => {
    expect(parameterCount(build({}, 1000))).toBe(28_589_128)
  })

  it('start with branches that hardly count', () => {
    const weights = initialWeights(build({ ...tiny, layer_scale_init_value: 0.25 }), rng(1, 'init'))
    const scale = weights['convnext.encoder.stages.1.layers.0.layer_scale_parameter']
    expect(scale).toEqual(new Float32Array(6).fill(0.25))
  })

  it('lie a layer further from the input with every block', () => {
    const { parameters } = build(tiny)
    const depth = (name: string) => parameters[name]!.depth
    expect(depth('convnext.embeddings.patch_embeddings.weight')).toBe(0)
    expect(depth('convnext.encoder.stages.0.layers.1.dwconv.weight')).toBe(2)
    expect(depth('convnext.encoder.stages.1.downsampling_layer.1.weight')).toBe(2)
    expect(depth('convnext.encoder.stages.1.layers.0.pwconv1.bias')).toBe(3)
    expect(depth('classifier.weight')).toBe(4)
  })

  it('decay where they are matrices and kernels', () => {
    for (const [name, { decay, shape }] of Object.entries(build(tiny).parameters))
      expect(decay, name).toBe(shape.length > 1)
  })
})

describe('training', () => {
  it('lowers the loss, and recomputing blocks changes it by rounding alone', async () => {
    const config = { model_type: 'convnext', ...tiny, layer_scale_init_value: 0.1 }
    const plain = await trainTiny(runtime, config)
    expect(plain.last).toBeLessThan(0.8 * plain.first)
    const again = await trainTiny(runtime, config, { recompute: true })
    expect(difference(again.losses, plain.losses)).toBeLessThan(1e-4)
  })
})

describe('a configuration that makes no model', () => {
  it.each([
    [{ num_stages: 4 }, 'num_stages is 4, but depths has 2 stages and hidden_sizes 2'],
    [{ hidden_sizes: [4] }, 'num_stages is 2, but depths has 2 stages and hidden_sizes 1'],
    [{ image_size: 3 }, 'image_size 3 is too small for patch_size 2 and 1 halvings'],
  ])('%o is refused', (changes, message) => {
    expect(() => build({ ...tiny, ...changes })).toThrow(message)
  })
})
