import { crossEntropy, Graph, gradients, type Runtime, type Value } from 'onnxgrad'
import { evaluate, numbers } from 'onnxgrad/testing'
import type { Model } from '../models/model.js'
import { type NaiveWeights, naiveCrossEntropy } from './naive-layers.js'

const SMOOTHING = 0.1
const STEP = 1e-5

/**
 * Largest relative error of the loss gradient at every parameter of a model, against central differences of the
 * plain reference in double precision, at the largest element and some others.
 *
 * @param pixels of all images, 3 × side × side each, in [0, 1].
 * @param logits the reference: those of one image with given weights.
 */
export async function gradientErrors(
  runtime: Runtime,
  model: Model,
  weights: Readonly<Record<string, Float32Array>>,
  pixels: Float64Array,
  labels: readonly number[],
  logits: (weights: NaiveWeights, image: Float64Array) => number[],
): Promise<Record<string, number>> {
  const side = model.imageSize
  const graph = new Graph()
  const parameters: Record<string, Value> = Object.fromEntries(
    Object.entries(model.parameters).map(([name, { shape }]) => [name, graph.input(name, 'float32', shape)]),
  )
  const x = graph.input('pixels', 'float32', [labels.length, 3, side, side])
  const result = model.forward(parameters, x)
  const loss = crossEntropy(result.logits, graph.constant('int64', [labels.length], labels), SMOOTHING)
  const names = Object.keys(model.parameters)
  const parts = gradients(
    [{ value: loss }],
    names.map(name => parameters[name]!),
  )
  parts.forEach((part, i) => {
    graph.output(`d ${names[i]}`, part!)
  })
  const got = await evaluate(runtime, graph, { ...weights, pixels })
  const size = pixels.length / labels.length
  const lossAt = (changed: NaiveWeights) =>
    labels.reduce((sum, label, i) => {
      const image = pixels.subarray(i * size, (i + 1) * size)
      return sum + naiveCrossEntropy(logits(changed, image), label, SMOOTHING) / labels.length
    }, 0)
  const exact = Object.fromEntries(names.map(name => [name, Float64Array.from(weights[name]!)]))
  const errors: Record<string, number> = {}
  for (const name of names) {
    const analytic = numbers(got[`d ${name}`])
    // The largest element and some spread evenly over the tensor.
    const largest = analytic.reduce((at, v, i) => (Math.abs(v) > Math.abs(analytic[at]!) ? i : at), 0)
    const probes = new Set([largest, ...[0.1, 0.5, 0.9].map(f => Math.floor(f * analytic.length))])
    // A key's bias shifts all scores of a row alike, which softmax does not see: its gradient is 0 but for rounding.
    const scale = Math.max(Math.abs(analytic[largest]!), 1e-3)
    errors[name] = 0
    for (const at of probes) {
      const moved = (by: number) =>
        lossAt({ ...exact, [name]: exact[name]!.with(at, exact[name]![at]! + by) })
      const numeric = (moved(STEP) - moved(-STEP)) / (2 * STEP)
      errors[name] = Math.max(errors[name], Math.abs(analytic[at]! - numeric) / scale)
    }
  }
  return errors
}
