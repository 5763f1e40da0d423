import { afterAll, describe, expect, it } from 'vitest'
import { tanh } from '../ops/activation.js'
import { mul } from '../ops/elementwise.js'
import { linear } from '../ops/matrix-product.js'
import { startRuntime } from '../runtime/node/index.js'
import { crossEntropy } from './losses.js'
import { sgd } from './optimizers.js'
import { buildTrainStep, type TrainStepOptions } from './train-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const inputs = {
  x: { dtype: 'float32', shape: [4, 3] },
  frozenPart: { dtype: 'float32', shape: [4, 5] },
  labels: { dtype: 'int64', shape: [4] },
} as const
const options = (replace: boolean): TrainStepOptions => ({
  parameters: {
    below: { shape: [5, 3], decay: false, frozen: true },
    above: { shape: [2, 5], decay: false },
  },
  inputs,
  optimizer: sgd({ momentum: 0.9 }),
  microBatches: 2,
  forward(_, p, { x, frozenPart, labels }) {
    const hidden = tanh(linear(x!, p.below!))
    // Read twice, so that both readers must find what takes its place.
    const loss = crossEntropy(linear(mul(hidden, hidden), p.above!), labels!)
    return { loss, ...(replace && { instead: new Map([[hidden, frozenPart!]]) }) }
  },
})

describe('a value that is fed instead of computed', () => {
  it('takes what only it needed out of the step', () => {
    const [whole, cut] = [false, true].map(replace => buildTrainStep(options(replace)).graph)
    const named = (graph: typeof whole) => graph!.inputs.map(({ name }) => name)
    expect(named(whole)).toContain('x')
    expect(named(cut)).toEqual(named(whole).filter(name => name !== 'x'))
    expect(cut!.nodes.length).toBeLessThan(whole!.nodes.length)
    expect(cut!.nodes.some(node => node.name.includes('Tanh'))).toBe(false)
  })

  it('leads to the same step where it is the same value', async () => {
    const spread = (size: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(i + 1))
    const [x, below, above] = [spread(12), spread(15), spread(10)]
    const computed = Float32Array.from({ length: 20 }, (_, i) => {
      const [row, unit] = [Math.floor(i / 5), i % 5]
      return Math.tanh([0, 1, 2].reduce((sum, k) => sum + x[3 * row + k]! * below[3 * unit + k]!, 0))
    })
    const labels = { ...inputs.labels, data: BigInt64Array.of(0n, 1n, 1n, 0n) }
    const results = await Promise.all(
      [false, true].map(async replace => {
        const step = buildTrainStep(options(replace))
        const session = await runtime.load(step.model, {
          state: step.state,
          initialState: step.initialState({ below, above }),
        })
        const fed = { ...inputs.frozenPart, data: computed }
        // A feed that nothing reads is neither wanted nor refused by the graph of the whole step.
        const feeds = replace
          ? { frozenPart: fed, labels }
          : { x: { ...inputs.x, data: x }, frozenPart: fed, labels }
        const { loss } = await session.run({ ...feeds, ...step.scalars(1, 0.1) })
        return [Number(loss!.data[0]), ...step.result(await session.readState()).above!]
      }),
    )
    results[1]!.forEach((value, i) => {
      expect(value).toBeCloseTo(results[0]![i]!, 6)
    })
  })
})
