import { gradients } from '../autodiff/gradients.js'
import { arrayOf, type DType } from '../graph/dtype.js'
import { Graph, type Value } from '../graph/graph.js'
import { type Shape, sizeOf, type Tensor } from '../graph/tensor.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { mul } from '../ops/elementwise.js'
import { reduceSum } from '../ops/reduction.js'
import type { Runtime } from '../runtime/session.js'

export { evaluate, numbers } from './evaluate.js'
export * from './fuzz.js'
export * from './fuzz-json.js'
export { softwareVulkan, softwareVulkanMissing } from './software-vulkan.js'

export interface GradientCheck {
  /** Shapes of the inputs that are differentiated at. */
  readonly inputs: readonly Shape[]
  readonly build: (graph: Graph, inputs: readonly Value[]) => Value
  /** The point at which the gradient is checked, one array an input. */
  readonly at: readonly (readonly number[])[]
  readonly dtype: DType
  /** Step of the central differences. */
  readonly step: number
  /** At most so many elements of each input are probed, evenly spread. Default: all. */
  readonly probes?: number
}

/**
 * Compares reverse-mode gradients with central differences of the same graph run by the runtime.
 *
 * The objective is Σ w·y with fixed weights w of different sizes, so that errors of single outputs cannot cancel.
 * @returns the largest error relative to the largest gradient of the same input (or 1e-3 of the whole, if larger).
 */
export async function gradientError(runtime: Runtime, check: GradientCheck): Promise<number> {
  const graph = new Graph()
  const inputs = check.inputs.map((shape, i) => graph.input(`x${i}`, check.dtype, shape))
  const y = check.build(graph, inputs)
  const weights = Array.from({ length: sizeOf(y.shape) }, (_, i) => 0.5 + ((i * 7) % 11) / 10)
  const weighted = mul(y, graph.constant(check.dtype, y.shape, weights))
  const objective = reduceSum(
    weighted,
    y.shape.map((_, axis) => axis),
  )
  graph.output('objective', objective)
  const forward = await runtime.load(toOnnx(graph))
  gradients([{ value: objective }], inputs).forEach((gradient, i) => {
    graph.output(
      `g${i}`,
      gradient ?? graph.constant(check.dtype, inputs[i]!.shape, new Array(sizeOf(inputs[i]!.shape)).fill(0)),
    )
  })
  const backward = await runtime.load(toOnnx(graph))
  try {
    const feed = (at: readonly (readonly number[])[]): Record<string, Tensor> =>
      Object.fromEntries(
        at.map((values, i) => [
          `x${i}`,
          { dtype: check.dtype, shape: check.inputs[i]!, data: arrayOf(check.dtype, values) },
        ]),
      )
    const value = async (at: readonly (readonly number[])[]) =>
      Number((await forward.run(feed(at))).objective!.data[0])
    const got = await backward.run(feed(check.at))
    const pairs: { analytic: number; numeric: number; input: number }[] = []
    for (let i = 0; i < check.inputs.length; i++) {
      const size = sizeOf(check.inputs[i]!)
      const stride = Math.max(1, Math.floor(size / (check.probes ?? size)))
      for (let j = 0; j < size; j += stride) {
        const moved = (by: number) =>
          check.at.map((values, k) => (k === i ? values.with(j, values[j]! + by) : values))
        const numeric =
          ((await value(moved(check.step))) - (await value(moved(-check.step)))) / (2 * check.step)
        pairs.push({ analytic: Number(got[`g${i}`]!.data[j]), numeric, input: i })
      }
    }
    const overall = Math.max(...pairs.map(p => Math.abs(p.numeric)))
    return Math.max(
      ...check.inputs.map((_, input) => {
        const mine = pairs.filter(p => p.input === input)
        const scale = Math.max(...mine.map(p => Math.abs(p.numeric)), overall * 1e-3, 1e-12)
        return Math.max(...mine.map(p => Math.abs(p.analytic - p.numeric))) / scale
      }),
    )
  } finally {
    await forward.release()
    await backward.release()
  }
}
