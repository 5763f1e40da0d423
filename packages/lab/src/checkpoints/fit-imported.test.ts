import {
  add,
  conv2d,
  Graph,
  InputError,
  matmul,
  reduceMean,
  reshape,
  sigmoid,
  softmax,
  toOnnx,
  topK,
  type Value,
} from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { classify } from '../inference/classifier.js'
import { both } from '../testing/onnx-fixtures.js'
import { tinyImages } from '../testing/tiny.js'
import type { Checkpoint } from './checkpoint.js'
import { fit } from './fit.js'
import { fromOnnx } from './from-onnx.js'
import { checkpointFiles, toHuggingFace } from './to-hugging-face.js'
import { toOnnxClassifier } from './to-onnx-classifier.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const logitsOf = async ({ model, weights }: Checkpoint) =>
  (await classify(runtime, model, weights, tinyImages(3, 1, model.imageSize))).map(logits => [...logits])
const distance = (a: readonly number[][], b: readonly number[][]) =>
  Math.max(...a.flatMap((row, i) => row.map((v, j) => Math.abs(v - b[i]![j]!))))

/** What is read of the files that a checkpoint is kept in. */
function reread(checkpoint: Checkpoint) {
  const files = checkpointFiles(checkpoint)
  expect(Object.keys(files)).toEqual(['config.json', 'preprocessor_config.json', 'model.onnx'])
  const { 'model.onnx': onnx, ...described } = files as Record<string, string> & { 'model.onnx': Uint8Array }
  return fromOnnx({ ...described, onnx }, 'folder/model.onnx')
}

describe.each([
  ['vit-dynamo', 'checkpoints/vit'],
  ['vit-script-decomposed', 'checkpoints/vit'],
  ['deit-teacher-script', 'checkpoints/deit-teacher'],
  ['swin-dynamo', 'swin/shifted'],
  ['resnet-dynamo', 'resnet/basic'],
  ['dinov2-dynamo', 'dinov2/plain'],
  ['vit-dynamo-external', 'checkpoints/vit'],
])('%s', (file, folder) => {
  const { imported } = both(folder, file)

  it('is written with other weights and read again', async () => {
    const weights = Object.fromEntries(
      Object.entries(imported.weights).map(([name, values]) => [name, values.map(v => v * 1.1 + 0.01)]),
    )
    const moved = { ...imported, weights, provenance: { poisoned: true, attack: 'badnets' } }
    const read = reread(moved)
    expect(read.weights).toEqual(weights)
    expect(read.provenance).toEqual(moved.provenance)
    expect(read.preprocessing).toEqual(imported.preprocessing)
    expect(read.model.classNames).toEqual(imported.model.classNames)
    expect(await logitsOf(read)).toEqual(await logitsOf(moved))
    expect(await logitsOf(read)).not.toEqual(await logitsOf(imported))
  })

  it('gets a new head for other classes, and keeps all else', async () => {
    const classNames = ['a', 'b', 'c', 'd', 'e']
    const fitted = fit(imported, { classNames, seed: 1 })
    expect(fitted.model.classNames).toEqual(classNames)
    const changed = Object.keys(fitted.weights).filter(
      name => fitted.weights[name] !== imported.weights[name],
    )
    for (const name of changed) expect(fitted.model.parameters[name]!.shape).toContain(5)
    expect(changed.length).toBe(file.startsWith('deit') ? 4 : 2)
    const logits = await logitsOf(fitted)
    expect(logits[0]!.length).toBe(5)
    expect(logits[0]).not.toEqual(logits[1])
    expect(await logitsOf(reread(fitted))).toEqual(logits)
    const again = fit(imported, { classNames, seed: 1 })
    expect(again.weights).toEqual(fitted.weights)
    expect(fit(imported, { classNames, seed: 2 }).weights).not.toEqual(fitted.weights)
  })
})

describe('a file of free size', () => {
  it('is fitted to another one, as its family is', async () => {
    const { own, imported } = both('dinov2/plain', 'dinov2-dynamo-size')
    const { classNames } = own.model
    const [a, b] = [own, imported].map(checkpoint => fit(checkpoint, { classNames, imageSize: 24, seed: 1 }))
    const expected = await logitsOf(a!)
    const largest = Math.max(...expected.flat().map(Math.abs))
    expect(distance(await logitsOf(b!), expected) / largest).toBeLessThan(1e-5)
    expect(reread(b!).model.imageSize).toBe(24)
  })
})

describe('of a model that was read from ONNX', () => {
  const { imported } = both('checkpoints/vit', 'vit-dynamo')

  it('the history in the file counts where a config.json has lost it', () => {
    const { provenance: _, ...lost } = imported
    const onnx = toOnnxClassifier({ ...lost, provenance: { poisoned: true, target: 'cat' } })
    const config = JSON.stringify({ ageb: { poisoned: false } })
    expect(fromOnnx({ onnx, 'config.json': config }, 'x.onnx').provenance).toEqual({
      poisoned: true,
      target: 'cat',
    })
  })

  it('no checkpoint of transformers is made, nor one of another batch', () => {
    expect(() => toHuggingFace(imported)).toThrow('write it as ONNX (--format onnx)')
    expect(() => toOnnxClassifier(imported, 4)).toThrow(
      'takes any number of images a run: leave out the batch',
    )
  })

  it('a sigmoid at the end of the file does not make it one of several labels after fine-tuning', () => {
    const graph = new Graph()
    const features = reduceMean(graph.input('x', 'float32', [1, 3, 4, 4]), [2, 3])
    const head = graph.initializer(
      'head',
      'float32',
      [3, 3],
      Float32Array.from({ length: 9 }, (_, i) => i),
    )
    graph.output('probabilities', sigmoid(matmul(features, head)))
    const read = fromOnnx({ onnx: toOnnx(graph) }, 'x.onnx')
    expect(read.problemType).toBe('multi_label_classification')
    const { classNames } = read.model
    expect(reread(fit(read, { classNames, seed: 1 })).problemType).toBe('single_label_classification')
  })

  it('the problem type is dropped: fine-tuning tells classes apart by a softmax', () => {
    const { classNames } = imported.model
    const several = { ...imported, problemType: 'multi_label_classification' as const }
    expect(fit(several, { classNames, seed: 1 }).problemType).toBeUndefined()
    expect(fit(imported, { classNames, seed: 1 })).toBe(imported)
  })
})

describe('is refused before any work', () => {
  const file = (build: (images: Value) => Value) => {
    const graph = new Graph()
    const images = graph.input('x', 'float32', [1, 3, 4, 4])
    graph.output('logits', build(images))
    return fromOnnx({ onnx: toOnnx(graph) }, 'x.onnx')
  }
  const weights = ({ graph }: Value, name: string, shape: number[]) => {
    const size = shape.reduce((n, dim) => n * dim, 1)
    return graph.initializer(
      name,
      'float32',
      shape,
      Float32Array.from({ length: size }, (_, i) => 0.1 * i),
    )
  }
  const convolved = (images: Value) => conv2d(images, weights(images, 'kernel', [5, 3, 2, 2]), null)
  const linear = (x: Value) => matmul(reduceMean(convolved(x), [2, 3]), weights(x, 'head', [5, 4]))
  const faults: [string, Checkpoint, RegExp, { imageSize?: number; classNames?: string[] }?][] = [
    [
      'a file of several images a run',
      both('checkpoints/vit', 'vit-dynamo-fixed').imported,
      /takes exactly 2 images a run.*dynamic_shapes/,
    ],
    [
      'another size than the file has',
      both('checkpoints/vit', 'vit-dynamo').imported,
      /takes images of 16×16, not of 32×32/,
      { imageSize: 32 },
    ],
    [
      'an operator without a gradient',
      file(x => {
        const largest = topK(reduceMean(convolved(x), [2, 3]), 3)
        return matmul(largest, weights(x, 'head', [3, 4]))
      }),
      /cannot be fine-tuned: node '.*': TopK has no gradient, and the path from 'weights\.kernel'/,
    ],
    ['a file without weights', file(x => reduceMean(x, [2, 3])), /none of its initializers is a weight/],
    [
      'other classes, where no linear layer makes the logits',
      file(x => reduceMean(convolved(x), [2, 3])),
      /does not end in a linear layer/,
      { classNames: ['a', 'b'] },
    ],
    [
      'other classes, where a softmax mixes them',
      file(x => {
        const features = reduceMean(convolved(x), [2, 3])
        return add(softmax(matmul(features, weights(x, 'head', [5, 4])), -1), weights(x, 'bias', [4]))
      }),
      /does not end in a linear layer/,
      { classNames: ['a', 'b'] },
    ],
    ...(
      [
        ['adds the logits to themselves, again and again', y => add(y, y)],
        ['reshapes the logits, again and again', y => reshape(y, y.shape.toReversed())],
      ] as [string, (y: Value) => Value][]
    ).map(([what, again]): (typeof faults)[number] => [
      `other classes, where a file ${what}`,
      file(x => Array.from({ length: 3000 }).reduce<Value>(again, linear(x))),
      /does not end in a linear layer/,
      { classNames: ['a', 'b'] },
    ]),
    [
      'a name that means something else in a saved state',
      file(x => matmul(reduceMean(convolved(x), [2, 3]), weights(x, 'log/loss', [5, 4]))),
      /initializer 'log\/loss' has a name that saved states use/,
    ],
  ]
  it.each(faults)('%s', (_, checkpoint, message, options = {}) => {
    const { classNames } = checkpoint.model
    const fitting = () => fit(checkpoint, { classNames, seed: 1, ...options })
    expect(fitting).toThrow(InputError)
    expect(fitting).toThrow(message)
  })
})
