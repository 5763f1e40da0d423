import { allocate, type TensorData } from '../graph/dtype.js'
import { GraphError } from '../graph/graph.js'
import { type Feeds, sameShape, showType, sizeOf, type Tensor } from '../graph/tensor.js'
import { toOnnxScan } from '../onnx/to-onnx-scan.js'
import type { TrainStep } from './train-step.js'

/** A training step, made several times in one run of a session. Its state is that of the step. */
export interface SeveralSteps {
  readonly model: Uint8Array
  /**
   * Puts the feeds of steps that follow each other together.
   * @throws GraphError if there is none, or they differ in names or types.
   */
  join(steps: readonly Feeds[]): Record<string, Tensor>
  /** What each step delivered, in order; the arrays are views of what the run delivered. */
  divide(delivered: Feeds): Record<string, Tensor>[]
}

/**
 * The training step as a model that makes as many steps as it is fed in one run, in the bits that as many runs give. Where
 * a device has to copy the state to itself and back in every run, it does so once for all of them.
 *
 * @example
 * const several = severalSteps(step)
 * const session = await runtime.load(several.model, { state: step.state, initialState })
 * const feeds = batches.map((batch, i) => ({ ...batch, ...step.scalars(i + 1, 0.001) }))
 * const losses = several.divide(await session.run(several.join(feeds))).map(({ loss }) => loss)
 */
export function severalSteps({ graph, state }: Pick<TrainStep, 'graph' | 'state'>): SeveralSteps {
  return {
    model: toOnnxScan(graph, state, { name: 'training-steps' }),
    join(steps) {
      const [first] = steps
      if (!first) throw new GraphError('there is no step to make: give the feeds of at least one')
      const names = Object.keys(Object.assign({}, ...steps))
      return Object.fromEntries(
        names.map(name => [
          name,
          stacked(
            name,
            steps.map(feeds => feeds[name]),
          ),
        ]),
      )
    },
    divide(delivered) {
      const [count] = Object.values(delivered)[0]!.shape
      return Array.from({ length: count! }, (_, i) =>
        Object.fromEntries(Object.entries(delivered).map(([name, tensor]) => [name, row(tensor, i)])),
      )
    },
  }
}

function stacked(name: string, tensors: readonly (Tensor | undefined)[]): Tensor {
  const [first] = tensors
  if (!first) throw new GraphError(`'${name}' is fed in some of the steps only`)
  const { dtype, shape } = first
  const size = sizeOf(shape)
  const data = allocate(dtype, tensors.length * size)
  tensors.forEach((tensor, i) => {
    if (tensor?.dtype !== dtype || !sameShape(tensor.shape, shape)) {
      const came = tensor ? showType(tensor) : 'nothing'
      throw new GraphError(
        `'${name}' is ${showType(first)} in the first of the steps, but ${came} in step ${i + 1} of them`,
      )
    }
    // Of one type, so of one kind of array.
    data.set(tensor.data as never, i * size)
  })
  return { dtype, shape: [tensors.length, ...shape], data }
}

function row({ dtype, shape: [, ...shape], data }: Tensor, i: number): Tensor {
  const size = sizeOf(shape)
  return { dtype, shape, data: data.subarray(i * size, (i + 1) * size) as TensorData }
}
