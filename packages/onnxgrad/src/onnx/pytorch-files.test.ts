import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { gradients } from '../autodiff/gradients.js'
import { Graph, type Value } from '../graph/graph.js'
import { type Feeds, type Shape, sizeOf, type Tensor } from '../graph/tensor.js'
import { slice } from '../ops/layout.js'
import { Softmax } from '../ops/normalization.js'
import { reduceSum } from '../ops/reduction.js'
import { startRuntime } from '../runtime/node/index.js'
import { crossEntropy } from '../train/losses.js'
import { adamW } from '../train/optimizers.js'
import { buildTrainStep } from '../train/train-step.js'
import { type OnnxModel, readOnnx } from './from-onnx.js'
import { toOnnx } from './to-onnx.js'

// Whole models as PyTorch's exporters wrote them (fixtures/README.md): outputs and gradients against PyTorch's own
// and against differences.
const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const folder = new URL('../../fixtures/', import.meta.url)
const names = readdirSync(folder)
  .filter(name => name.endsWith('.onnx'))
  .map(name => name.slice(0, -'.onnx'.length))

interface Encoded {
  readonly shape: number[]
  /** Little-endian float32, base64. */
  readonly data: string
}

function decoded({ shape, data }: Encoded): Tensor & { data: Float32Array } {
  const bytes = Uint8Array.from(Buffer.from(data, 'base64'))
  return { dtype: 'float32', shape, data: new Float32Array(bytes.buffer) }
}

function fixture(name: string) {
  const bytes = new Uint8Array(readFileSync(new URL(`${name}.onnx`, folder)))
  const made = JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8'))
  const x = decoded(made.input)
  return {
    bytes,
    x,
    y: decoded(made.output),
    inputGradient: decoded(made.inputGradient),
    gradientNorms: made.gradientNorms as Record<string, number>,
    read: () => readOnnx(bytes),
  }
}

/** The objective that the fixtures were differentiated at: Σ w·y, with weights that no errors cancel under. */
const weightOf = (i: number) => 0.5 + ((i * 7) % 11) / 10
const objectiveOf = (y: Tensor) =>
  Array.from(y.data, Number).reduce((sum, value, i) => sum + value * weightOf(i), 0)

/** The model with its parameters as inputs, delivering y and on demand the gradients at x and every parameter. */
function build(model: OnnxModel, shape: Shape, differentiate: boolean): Graph {
  const graph = new Graph()
  const x = graph.input('x', 'float32', shape)
  const parameters = Object.fromEntries(
    Object.entries(model.parameters).map(([name, { dtype, shape }]) => [
      name,
      graph.input(`p.${name}`, dtype, shape),
    ]),
  )
  const y = model.apply(graph, { x }, parameters).outputs.y!
  graph.output('result', y)
  if (differentiate) {
    const seed = graph.constant(
      'float32',
      y.shape,
      Array.from({ length: sizeOf(y.shape) }, (_, i) => weightOf(i)),
    )
    const values: Value[] = [x, ...Object.values(parameters)]
    gradients([{ value: y, seed }], values).forEach((part, i) => {
      if (part) graph.output(`d.${values[i]!.name}`, part)
    })
  }
  return graph
}

const feedsOf = (x: Tensor, model: OnnxModel): Feeds => ({
  x,
  ...Object.fromEntries(Object.entries(model.parameters).map(([name, tensor]) => [`p.${name}`, tensor])),
})

async function run(bytes: Uint8Array, feeds: Feeds): Promise<Record<string, Tensor>> {
  const session = await runtime.load(bytes)
  try {
    return await session.run(feeds)
  } finally {
    await session.release()
  }
}

/** Largest difference, relative to the largest element. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length)
  let [gap, scale] = [0, 1e-9]
  for (let i = 0; i < a.length; i++) {
    gap = Math.max(gap, Math.abs(a[i]! - b[i]!))
    scale = Math.max(scale, Math.abs(b[i]!))
  }
  return gap / scale
}
const floats = (tensor: Tensor | undefined) => tensor!.data as Float32Array
/**
 * Steps of the differences, relative to the size of the tensor that is moved (zeros and masks of −100 aside).
 * A smooth model takes the first. With ReLU and max pooling a large step crosses kinks and a small one drowns in
 * rounding; where the plateau between lies differs from tensor to tensor, and one of the steps must find it.
 */
const STEPS = [1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5]
const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0))

describe.each(names)('%s', name => {
  const { bytes, x, y, inputGradient, gradientNorms, read } = fixture(name)

  it('computes what PyTorch and the runtime alone make of it', async () => {
    const model = read()
    const got = floats((await run(toOnnx(build(model, x.shape, false)), feedsOf(x, model))).result)
    expect(distance(got, y.data)).toBeLessThan(1e-4)
    expect(distance(got, floats((await run(bytes, { x })).y))).toBeLessThan(1e-4)
  })

  it('has the gradients that PyTorch has', async () => {
    const model = read()
    const got = await run(toOnnx(build(model, x.shape, true)), feedsOf(x, model))
    expect(distance(floats(got['d.x']), inputGradient.data)).toBeLessThan(1e-3)
    const known = Object.keys(gradientNorms).filter(parameter => `d.p.${parameter}` in got)
    expect(known.length).toBeGreaterThan(1)
    for (const parameter of known) {
      expect(norm(floats(got[`d.p.${parameter}`])) / gradientNorms[parameter]!).toBeCloseTo(1, 2)
    }
  })

  it('has the gradients that differences show', async () => {
    const model = read()
    const feeds = feedsOf(x, model)
    const got = await run(toOnnx(build(model, x.shape, true)), feeds)
    const session = await runtime.load(toOnnx(build(model, x.shape, false)))
    for (const [input, tensor] of Object.entries(feeds)) {
      const gradient = got[`d.${input}`]
      if (!gradient) continue
      // Along the gradient itself the slope is its norm: far above the noise of single precision.
      const length = norm(floats(gradient))
      // What died behind a ReLU has no direction.
      if (length === 0) continue
      const size = Math.min(10, Math.max(norm(floats(tensor)), 0.1))
      const errors: number[] = []
      for (const step of name.startsWith('resnet') ? STEPS : STEPS.slice(0, 1)) {
        const at = async (steps: number) => {
          const far = (steps * step * size) / length
          const moved = floats(tensor).map((v, i) => v + far * floats(gradient)[i]!)
          return objectiveOf((await session.run({ ...feeds, [input]: { ...tensor, data: moved } })).result!)
        }
        const [near, wide] = [(await at(1)) - (await at(-1)), (await at(2)) - (await at(-2))]
        // By three points and by five, whose error is of the fourth order in the step.
        for (const slope of [near / (2 * step * size), (8 * near - wide) / (12 * step * size)])
          errors.push(Math.abs(slope / length - 1))
      }
      // Statistics of a batch of four leave so little between kinks and rounding that half a percent is resolved.
      expect(Math.min(...errors), input).toBeLessThan(name === 'resnet-train' ? 5e-3 : 1e-3)
    }
    await session.release()
  })
})

describe('inner values', () => {
  it('of a file can be delivered and differentiated at: the attention of every block', async () => {
    const { read, x } = fixture('vit-script')
    const model = read()
    const graph = new Graph()
    const { outputs, values } = model.apply(graph, { x: graph.input('x', 'float32', x.shape) })
    const attention = [...values.values()].filter(value => value.producer?.definition === Softmax)
    expect(attention.map(({ shape }) => shape)).toEqual([
      [2, 2, 17, 17],
      [2, 2, 17, 17],
    ])
    const score = reduceSum(slice(outputs.y!, [1], [0], [1]), [0, 1])
    gradients([{ value: score }], attention).forEach((part, i) => {
      graph.output(`attention${i}`, attention[i]!)
      graph.output(`gradient${i}`, part!)
    })
    const got = await run(toOnnx(graph), { x })
    for (const i of attention.keys()) {
      const probabilities = floats(got[`attention${i}`])
      expect(probabilities.subarray(0, 17).reduce((sum, p) => sum + p)).toBeCloseTo(1, 5)
      expect(norm(floats(got[`gradient${i}`]))).toBeGreaterThan(0)
    }
  })
})

describe('a file as part of a training step', () => {
  it('learns two labels by heart', async () => {
    const { read, x } = fixture('vit-script')
    const model = read()
    const parameters = Object.entries(model.parameters)
    const step = buildTrainStep({
      parameters: Object.fromEntries(
        parameters.map(([name, { shape }]) => [name, { shape, decay: shape.length > 1 }]),
      ),
      forward(graph, weights) {
        const pixels = graph.input('pixels', 'float32', x.shape)
        const labels = graph.input('labels', 'int64', [2])
        return { loss: crossEntropy(model.apply(graph, { x: pixels }, weights).outputs.y!, labels) }
      },
      optimizer: adamW({ weightDecay: 0.01 }),
    })
    const first = Object.fromEntries(parameters.map(([name, tensor]) => [name, floats(tensor)]))
    const options = { state: step.state, initialState: step.initialState(first) }
    const session = await runtime.load(step.model, options)
    const labels: Tensor = { dtype: 'int64', shape: [2], data: BigInt64Array.of(3n, 8n) }
    const losses: number[] = []
    for (let i = 1; i <= 30; i++) {
      const { loss } = await session.run({ pixels: x, labels, ...step.scalars(i, 0.01) })
      losses.push(Number(loss!.data[0]))
    }
    await session.release()
    expect(losses[0]).toBeGreaterThan(1)
    expect(losses.at(-1)).toBeLessThan(0.1)
  })
})
