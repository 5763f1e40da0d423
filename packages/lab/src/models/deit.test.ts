import { Graph } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { evaluate, gradientError, numbers } from 'onnxgrad/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { strongWeights, tinyImages, tinyTask } from '../testing/tiny.js'
import { type DeiTConfig, deit, deitConfig } from './deit.js'
import { parameterCount } from './model.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const teacher = 'DeiTForImageClassificationWithTeacher'
function tinyDeiT(architecture: DeiTConfig['architectures'][0]) {
  const config = deitConfig.parse({
    architectures: [architecture],
    image_size: 8,
    patch_size: 4,
    hidden_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 12,
  })
  return deit.build(config, tinyTask)
}
const images = tinyImages(2)
const pixels = Float32Array.from(images.pixels, v => v / 255)

// That the logits are those of transformers is shown with its checkpoints, in checkpoints/formats.test.ts.
describe.each(deit.architectures)('%s', architecture => {
  it('has as many parameters as published for 1000 classes', () => {
    const classNames = Array.from({ length: 1000 }, (_, i) => String(i))
    const count = (width: number) => {
      const sizes = { hidden_size: width, num_attention_heads: width / 64, intermediate_size: 4 * width }
      const config = { ...sizes, image_size: 224, patch_size: 16, num_hidden_layers: 12 }
      const architectures = [architecture]
      return parameterCount(deit.build(deitConfig.parse({ ...config, architectures }), { classNames }))
    }
    const published =
      architecture === teacher ? [5_910_800, 22_436_432, 87_338_192] : [5_717_800, 22_051_432, 86_569_192]
    expect([192, 384, 768].map(count)).toEqual(published)
  })

  it('looks at the image with both tokens left out', async () => {
    const model = tinyDeiT(architecture as DeiTConfig['architectures'][0])
    expect(model.leadingTokens).toBe(2)
    const graph = new Graph()
    const weights = strongWeights(model, 3)
    const parameters = Object.fromEntries(
      Object.entries(model.parameters).map(([name, { shape }]) => [
        name,
        graph.input(name, 'float32', shape),
      ]),
    )
    const { attention } = model.forward(parameters, graph.input('pixels', 'float32', [2, 3, 8, 8]))
    expect(attention.map(({ probabilities }) => probabilities.shape)).toEqual([
      [2, 2, 6, 6],
      [2, 2, 6, 6],
    ])
    graph.output(
      'grid',
      attention[0]!.toGrid(graph.constant('float32', [2, 6], [9, 9, 1, 2, 3, 4, 9, 9, 5, 6, 7, 8])),
    )
    graph.output('attention', attention[1]!.probabilities)
    const got = await evaluate(runtime, graph, { ...weights, pixels })
    expect(got.grid!.shape).toEqual([2, 1, 2, 2])
    expect(numbers(got.grid)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('has the gradient of central differences in what is not of the shared encoder', async () => {
    const model = tinyDeiT(architecture as DeiTConfig['architectures'][0])
    const weights = strongWeights(model, 3)
    const names = Object.keys(model.parameters)
    const checked = names.filter(name => !name.includes('.encoder.'))
    expect(checked.length).toBe(architecture === teacher ? 11 : 9)
    const error = await gradientError(runtime, {
      dtype: 'float32',
      inputs: checked.map(name => model.parameters[name]!.shape),
      at: checked.map(name => [...weights[name]!]),
      step: 1e-2,
      probes: 6,
      build(graph, inputs) {
        const parameters = Object.fromEntries(
          names.map(name => {
            const at = checked.indexOf(name)
            const { shape } = model.parameters[name]!
            return [name, at < 0 ? graph.initializer(name, 'float32', shape, weights[name]!) : inputs[at]!]
          }),
        )
        return model.forward(parameters, graph.constant('float32', [2, 3, 8, 8], [...pixels])).logits
      },
    })
    expect(error).toBeLessThan(1e-2)
  })
})

it('a DeiT whose patches do not tile the image is refused', () => {
  const config = deitConfig.parse({ image_size: 10, patch_size: 4 })
  expect(() => deit.build(config, tinyTask)).toThrow('image_size 10 is no multiple of patch_size 4')
})
