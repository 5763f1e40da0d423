import { afterAll, describe, expect, it } from 'vitest'
import { InputError } from '../errors.js'
import { Graph } from '../graph/graph.js'
import { startRuntime } from '../runtime/node/index.js'
import { evaluate, gradientError, numbers } from '../testing/check-gradients.js'
import { batchNorm } from './batch-normalization.js'
import { add, mul } from './elementwise.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const spread = (size: number, salt: number) =>
  Array.from({ length: size }, (_, i) => 2 * (((i + 1) * Math.SQRT2 + salt * 0.37) % 1) - 1)

describe.each([
  ['images', [2, 3, 2, 3]],
  ['vectors', [4, 2]],
])('batch normalization of %s in training', (_, shape) => {
  const channels = shape[1]!
  const size = shape.reduce((n, dim) => n * dim, 1)
  const count = size / channels

  it('has the mean, the variances and the momentum that PyTorch has', async () => {
    const graph = new Graph()
    const [scale, shift, mean, variance] = ['scale', 'shift', 'mean', 'variance'].map(name =>
      graph.input(name, 'float64', [channels]),
    ) as [never, never, never, never]
    const x = graph.input('x', 'float64', shape)
    const out = batchNorm(
      x,
      { scale, shift, mean, variance },
      { training: true, momentum: 0.75, epsilon: 0.1 },
    )
    for (const [name, value] of Object.entries(out)) graph.output(`next ${name}`, value)
    const fed = {
      x: spread(size, 1),
      scale: spread(channels, 2),
      shift: spread(channels, 3),
      mean: spread(channels, 4),
      variance: spread(channels, 5).map(v => v * v),
    }
    const got = await evaluate(runtime, graph, fed)
    const plane = count / shape[0]!
    const channelOf = (i: number) => Math.floor(i / plane) % channels
    for (let c = 0; c < channels; c++) {
      const own = fed.x.filter((_, i) => channelOf(i) === c)
      const average = own.reduce((a, b) => a + b) / count
      const squares = own.reduce((sum, v) => sum + (v - average) ** 2, 0)
      expect(numbers(got['next mean'])[c]).toBeCloseTo(0.75 * fed.mean[c]! + 0.25 * average, 12)
      expect(numbers(got['next variance'])[c]).toBeCloseTo(
        0.75 * fed.variance[c]! + (0.25 * squares) / (count - 1),
        12,
      )
      const root = Math.sqrt(squares / count + 0.1)
      const wanted = own.map(v => ((v - average) / root) * fed.scale[c]! + fed.shift[c]!)
      numbers(got['next y'])
        .filter((_, i) => channelOf(i) === c)
        .forEach((value, i) => {
          expect(value).toBeCloseTo(wanted[i]!, 12)
        })
    }
  })

  it.each([true, false])('has the gradients of central differences (training: %s)', async training => {
    const vector = [channels]
    const error = await gradientError(runtime, {
      inputs: [shape, vector, vector],
      build: (graph, [x, scale, shift]) => {
        const mean = graph.constant('float64', vector, spread(channels, 6))
        const variance = graph.constant(
          'float64',
          vector,
          spread(channels, 7).map(v => v * v + 0.5),
        )
        const parameters = { scale: scale!, shift: shift!, mean, variance }
        const { y } = batchNorm(x!, parameters, { training })
        return add(mul(y, y), y)
      },
      at: [spread(size, 1), spread(channels, 2), spread(channels, 3)],
      dtype: 'float64',
      step: 1e-5,
    })
    expect(error).toBeLessThan(1e-6)
  })
})

it('refuses to learn from one value a channel', () => {
  const graph = new Graph()
  const [scale, shift, mean, variance] = ['a', 'b', 'c', 'd'].map(name =>
    graph.input(name, 'float32', [3]),
  ) as [never, never, never, never]
  const x = graph.input('x', 'float32', [1, 3, 1, 1])
  const parameters = { scale, shift, mean, variance }
  expect(() => batchNorm(x, parameters, { training: true })).toThrow(InputError)
  expect(batchNorm(x, parameters).y.shape).toEqual([1, 3, 1, 1])
})
