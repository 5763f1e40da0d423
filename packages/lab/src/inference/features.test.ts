import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { add, Graph, InputError, matmul, reciprocal, reduceMean, relu, toOnnx, type Value } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { fromOnnx } from '../checkpoints/from-onnx.js'
import type { Model, Weights } from '../models/model.js'
import { families } from '../models/registry.js'
import { strongWeights, tinyImages } from '../testing/tiny.js'
import { tinyFamilies } from '../testing/tiny-families.js'
import { classify } from './classifier.js'
import { type Features, featuresOf } from './features.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const images = tinyImages(5, 1, 16)

/** Logits of image i from its features, by a matrix (classes, width) and a bias. */
function head({ values, width }: Features, i: number, matrix: ArrayLike<number>, bias: ArrayLike<number>) {
  const vector = values.subarray(i * width, (i + 1) * width)
  return Array.from(bias, (b, c) => vector.reduce((sum, v, j) => sum + v * matrix[c * width + j]!, b))
}

/** The head of a model as one matrix and one bias. */
function headOf(model: Model, weights: Weights): { matrix: number[]; bias: number[] } {
  const names = Object.keys(model.parameters).flatMap(
    name => /^(.*classifier.*)\.weight$/.exec(name)?.[1] ?? [],
  )
  const share = 1 / names.length
  const classes = model.classNames.length
  const row = (name: string, c: number) => {
    const matrix = weights[`${name}.weight`]!
    const width = matrix.length / classes
    return Array.from(matrix.subarray(c * width, (c + 1) * width), v => v * share)
  }
  return {
    matrix: Array.from({ length: classes }, (_, c) => names.flatMap(name => row(name, c))).flat(),
    bias: Array.from({ length: classes }, (_, c) =>
      names.reduce((sum, name) => sum + share * weights[`${name}.bias`]![c]!, 0),
    ),
  }
}

const distance = (a: readonly number[], b: ArrayLike<number>) =>
  Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))

describe('features', () => {
  it('are tested for every family', () => {
    const tested = new Set(Object.values(tinyFamilies).map(({ modelType }) => modelType))
    expect([...tested].sort()).toEqual(Object.keys(families).sort())
  })

  it.each(Object.entries(tinyFamilies))('are what the head of a %s reads', async (_, model) => {
    const weights = strongWeights(model, 3)
    const features = await featuresOf(runtime, model, weights, images, 2)
    const logits = await classify(runtime, model, weights, images, 2)
    const { matrix, bias } = headOf(model, weights)
    expect(features.width).toBe(matrix.length / 3)
    expect(features.values.length).toBe(5 * features.width)
    logits.forEach((wanted, i) => {
      expect(distance(head(features, i, matrix, bias), wanted)).toBeLessThan(2e-5)
    })
    // Not the same for all images.
    expect(features.values.slice(0, features.width)).not.toEqual(features.values.slice(-features.width))
  })
})

describe('features of a classifier in ONNX', () => {
  const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url))
  const config = (classes: number) =>
    JSON.stringify({
      image_size: 16,
      id2label: Object.fromEntries(Array.from({ length: classes }, (_, i) => [i, `${i}`])),
    })
  const read = (file: string) =>
    fromOnnx(
      { onnx: new Uint8Array(readFileSync(`${fixtures}/onnx/${file}.onnx`)), 'config.json': config(3) },
      file,
    )

  it.each(['vit-dynamo', 'vit-dynamo-fixed', 'vit-script-decomposed', 'swin-dynamo', 'resnet-dynamo'])(
    'are what the last matrix product of %s reads',
    async file => {
      const { model, weights } = read(file)
      const features = await featuresOf(runtime, model, weights, images)
      const logits = await classify(runtime, model, weights, images)
      // Which of the weights are the head's is not told by names: the one matrix and bias that fit all images.
      const matrices = Object.values(weights).filter(({ length }) => length === 3 * features.width)
      const biases = [...Object.values(weights).filter(({ length }) => length === 3), new Float32Array(3)]
      const transposed = (m: Float32Array) =>
        m.map((_, i) => m[(i % features.width) * 3 + Math.floor(i / features.width)]!)
      const errors = matrices
        .flatMap(m => [m, transposed(m)])
        .flatMap(m =>
          biases.map(b => Math.max(...logits.map((wanted, i) => distance(head(features, i, m, b), wanted)))),
        )
      expect(Math.min(...errors)).toBeLessThan(2e-5)
    },
  )

  const written = (build: (graph: Graph, images: Value) => Value) => {
    const graph = new Graph()
    graph.output('logits', build(graph, graph.input('images', 'float32', [2, 3, 16, 16])))
    return fromOnnx({ onnx: toOnnx(graph), 'config.json': config(3) }, 'model.onnx')
  }
  it.each<[string, (graph: Graph, images: Value) => Value]>([
    ['pools feature maps', (_, x) => reduceMean(x, [2, 3])],
    ['bends the product', (graph, x) => relu(product(graph, reduceMean(x, [2, 3])))],
    ['divides by what it computed', (graph, x) => reciprocal(product(graph, reduceMean(x, [2, 3])))],
    [
      'averages two heads',
      (graph, x) => {
        const [a, b] = [reduceMean(x, [2, 3]), reduceMean(relu(x), [2, 3])]
        return add(product(graph, a), product(graph, b))
      },
    ],
  ])('are refused in a sentence where the file %s', async (_, build) => {
    const { model, weights } = written(build)
    await expect(featuresOf(runtime, model, weights, images)).rejects.toThrow(
      new InputError(
        'this model has no features: its logits are not made by one matrix product of a vector an image; use another model',
      ),
    )
  })
})

function product(graph: Graph, x: Value): Value {
  const matrix = graph.constant('float32', [3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 10])
  return matmul(x, matrix)
}
