import { afterAll, describe, expect, it } from 'vitest'
import { gradients } from '../autodiff/gradients.js'
import { Graph } from '../graph/graph.js'
import { startRuntime } from '../runtime/node/index.js'
import { evaluate, numbers } from '../testing/evaluate.js'
import { correctCount, crossEntropy, oneHot } from './losses.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

// softmax of (ln 1, ln 2, ln 5) is (1/8, 2/8, 5/8); of (0, 0, 0) a third each.
const logits = [Math.log(1), Math.log(2), Math.log(5), 0, 0, 0]
const labels = [2, 0]

async function loss(smoothing?: number) {
  const graph = new Graph()
  const z = graph.input('z', 'float64', [2, 3])
  const y = graph.input('y', 'int64', [2])
  const value = crossEntropy(z, y, smoothing)
  graph.output('loss', value)
  graph.output('gradient', gradients([{ value }], [z])[0]!)
  const got = await evaluate(runtime, graph, { z: logits, y: labels })
  expect(got.loss!.shape).toEqual([])
  return { loss: numbers(got.loss)[0]!, gradient: numbers(got.gradient) }
}

describe('crossEntropy', () => {
  it('is the mean of −ln p at the labels', async () => {
    const got = await loss()
    expect(got.loss).toBeCloseTo((Math.log(8 / 5) + Math.log(3)) / 2, 12)
    // (p − target) / N
    const expected = [1 / 8, 2 / 8, 5 / 8 - 1, 1 / 3 - 1, 1 / 3, 1 / 3].map(v => v / 2)
    got.gradient.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 12)
    })
  })

  it('spreads the smoothed share over all classes, the right one among them', async () => {
    const got = await loss(0.3)
    // Targets 0.1, 0.1, 0.8 and 0.8, 0.1, 0.1.
    const first = 0.1 * Math.log(8) + 0.1 * Math.log(4) + 0.8 * Math.log(8 / 5)
    expect(got.loss).toBeCloseTo((first + Math.log(3)) / 2, 12)
    const expected = [1 / 8 - 0.1, 2 / 8 - 0.1, 5 / 8 - 0.8, 1 / 3 - 0.8, 1 / 3 - 0.1, 1 / 3 - 0.1]
    got.gradient.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]! / 2, 12)
    })
  })

  it('takes a distribution a row, and of one-hot rows is what it is of labels', async () => {
    const soft = async (targets: readonly number[], smoothing = 0) => {
      const graph = new Graph()
      const z = graph.input('z', 'float64', [2, 3])
      const t = graph.input('t', 'float64', [2, 3])
      const value = crossEntropy(z, t, smoothing)
      graph.output('loss', value)
      graph.output('gradient', gradients([{ value }], [z])[0]!)
      graph.output('correct', correctCount(z, t))
      const got = await evaluate(runtime, graph, { z: logits, t: targets })
      return { loss: numbers(got.loss)[0]!, gradient: numbers(got.gradient), correct: numbers(got.correct) }
    }
    for (const smoothing of [0, 0.3]) {
      const { loss: value, gradient } = await soft([0, 0, 1, 1, 0, 0], smoothing)
      expect({ loss: value, gradient }).toEqual(await loss(smoothing))
    }
    const mixed = await soft([0.25, 0, 0.75, 0, 0.5, 0.5])
    const first = 0.25 * Math.log(8) + 0.75 * Math.log(8 / 5)
    expect(mixed.loss).toBeCloseTo((first + Math.log(3)) / 2, 12)
    expect(mixed.gradient[0]).toBeCloseTo((1 / 8 - 0.25) / 2, 12)
    // The second row's logits are equal: the first of them is called, which is no largest target.
    expect(mixed.correct).toEqual([1])
  })

  it('refuses targets of another shape', () => {
    const graph = new Graph()
    const z = graph.input('z', 'float32', [2, 3])
    expect(() => crossEntropy(z, graph.input('t', 'float32', [2, 4]))).toThrow(
      /^the targets float32\[2, 4\] do not fit the logits float32\[2, 3\]$/,
    )
  })

  it('stays finite where a probability is 0', async () => {
    const graph = new Graph()
    const value = crossEntropy(graph.input('z', 'float32', [1, 2]), graph.constant('int64', [1], [1]))
    graph.output('loss', value)
    expect(numbers((await evaluate(runtime, graph, { z: [200, -200] })).loss)).toEqual([400])
  })
})

describe('oneHot and correctCount', () => {
  it('mark the labels and count the rows that are largest there', async () => {
    const graph = new Graph()
    const z = graph.input('z', 'float32', [2, 3])
    const y = graph.input('y', 'int64', [2])
    graph.output('hot', oneHot(y, 3, 'float32'))
    graph.output('correct', correctCount(z, y))
    const got = await evaluate(runtime, graph, { z: [1, 2, 3, 1, 3, 2], y: labels })
    expect(numbers(got.hot)).toEqual([0, 0, 1, 1, 0, 0])
    expect(numbers(got.correct)).toEqual([1])
  })
})
