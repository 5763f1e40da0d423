import { existsSync, readFileSync } from 'node:fs'
import { crossEntropy, Graph, gradients, type Runtime, type Value } from 'onnxgrad'
import { evaluate, numbers } from 'onnxgrad/testing'
import type { Checkpoint } from '../checkpoints/checkpoint.js'
import { fromHuggingFace } from '../checkpoints/hugging-face.js'
import type { Model } from '../models/model.js'

/** What tools/make-swin-convnext-fixtures.py and tools/make-vit-fixtures.py note of a checkpoint. */
export interface Goldens {
  readonly labels: number[]
  readonly logits: number[][]
  /** By parameter: place and value of some elements of the loss gradient. */
  readonly gradients: Readonly<Record<string, [number, number][]>>
  /** DINOv2: logits of images of other sizes, by their side. */
  readonly at?: Readonly<Record<string, number[][]>>
  /** Swin and DINOv2, by block: what every cell gets, (N, grid, grid). */
  readonly attention?: number[][][][]
  /** ConvNeXt: (N, C, h, w). */
  readonly activations?: number[][][][]
}

export interface GoldenCheckpoint extends Checkpoint {
  readonly goldens: Goldens
}

/** A checkpoint among the fixtures, by `<family>/<name>`. */
export function goldenCheckpoint(path: string): GoldenCheckpoint {
  const file = (name: string) => readFileSync(new URL(`../../fixtures/${path}/${name}`, import.meta.url))
  const preprocessor = 'preprocessor_config.json'
  const described = existsSync(new URL(`../../fixtures/${path}/${preprocessor}`, import.meta.url))
  const files = {
    'config.json': file('config.json').toString(),
    ...(described && { [preprocessor]: file(preprocessor).toString() }),
    'model.safetensors': file('model.safetensors'),
  }
  return { ...fromHuggingFace(files, path), goldens: JSON.parse(file('goldens.json').toString()) }
}

/** Values in [0, 1] of `count` images: the integers that the script spells out, over 255. */
export function goldenPixels(count: number, side: number): Float64Array {
  return Float64Array.from(
    { length: count * 3 * side * side },
    (_, n) => (Math.imul(n * n + n + 12345, 2654435761) >>> 24) / 255,
  )
}

/** A model in a graph of two images, its parameters inputs. */
export function inGraph(model: Model) {
  const graph = new Graph()
  const parameters: Record<string, Value> = Object.fromEntries(
    Object.entries(model.parameters).map(([name, { shape }]) => [name, graph.input(name, 'float32', shape)]),
  )
  const pixels = graph.input('pixels', 'float32', [2, 3, model.imageSize, model.imageSize])
  return { graph, parameters, pixels }
}

/** By parameter, the largest error of the loss gradient over its largest element. */
export async function goldenGradientErrors(
  runtime: Runtime,
  { model, weights, goldens }: GoldenCheckpoint,
): Promise<Record<string, number>> {
  const { graph, parameters, pixels } = inGraph(model)
  const { logits } = model.forward(parameters, pixels)
  const loss = crossEntropy(logits, graph.constant('int64', [2], goldens.labels))
  const names = Object.keys(model.parameters)
  const wrt = names.map(name => parameters[name]!)
  gradients([{ value: loss }], wrt).forEach((gradient, i) => {
    graph.output(`d ${names[i]}`, gradient!)
  })
  const got = await evaluate(runtime, graph, { ...weights, pixels: goldenPixels(2, model.imageSize) })
  const entries = names.map(name => {
    const gradient = numbers(got[`d ${name}`])
    const wanted = goldens.gradients[name]!
    // A key's bias shifts all scores of a row alike, which softmax does not see: its gradient is 0 but for rounding.
    const scale = Math.max(...wanted.map(([, value]) => Math.abs(value)), 1e-3)
    return [name, Math.max(...wanted.map(([at, value]) => Math.abs(gradient[at]! - value))) / scale]
  })
  return Object.fromEntries(entries)
}

/** Largest difference of two lists that must be equally long. */
export function difference(got: readonly number[], wanted: readonly number[]): number {
  if (got.length !== wanted.length) return Number.POSITIVE_INFINITY
  return got.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0)
}
