import { afterAll, describe, expect, it } from 'vitest'
import { add, mul, sub } from '../ops/elementwise.js'
import { reduceMean } from '../ops/reduction.js'
import { reshape } from '../ops/reshaping.js'
import { startRuntime } from '../runtime/node/index.js'
import { sgd } from './optimizers.js'
import { sam } from './sam.js'
import { buildTrainStep, type TrainStepOptions } from './train-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

// The batch is shifted by w, and what is left of its mean remembered: seen = ¾·seen + ¼·mean(x + w).
const options: TrainStepOptions = {
  parameters: { w: { shape: [], decay: true }, seen: { shape: [], decay: true, buffer: true } },
  inputs: { x: { dtype: 'float32', shape: [4] } },
  optimizer: sgd({ weightDecay: 0.5 }),
  forward(_, { w, seen }, { x }) {
    const shifted = add(x!, w!)
    const mean = reduceMean(shifted, [0])
    const loss = reduceMean(mul(shifted, shifted), [0])
    return { loss, buffers: { seen: add(mul(seen!, 0.75), mul(reshape(mean, []), 0.25)) } }
  },
}
const first = { w: Float32Array.of(2), seen: Float32Array.of(16) }
const x = [1, 3, 5, 7]

async function stepped(changes: Partial<TrainStepOptions>, steps = 1) {
  const step = buildTrainStep({ ...options, ...changes })
  const session = await runtime.load(step.model, {
    state: step.state,
    initialState: step.initialState(first),
  })
  for (let i = 0; i < steps; i++)
    await session.run({
      x: { dtype: 'float32', shape: [4], data: Float32Array.from(x) },
      ...step.scalars(i + 1, 0.125),
    })
  const state = await session.readState()
  await session.release()
  const result = step.result(state)
  return { state, w: result.w![0]!, seen: result.seen![0]! }
}

describe('a buffer', () => {
  it('becomes what the forward pass says, and nothing else moves it', async () => {
    const { state, w, seen } = await stepped({ optimizer: sgd({ momentum: 0.9, weightDecay: 0.5 }) })
    expect(Object.keys(state).sort()).toEqual(['bundle.0', 'optimizer.velocity.bundle.0', 'seen'])
    // x + w has the mean 6; the gradient at w is twice that.
    expect(seen).toBe(0.75 * 16 + 0.25 * 6)
    expect(w).toBeCloseTo(2 * (1 - 0.125 * 0.5) - 0.125 * 12, 6)
  })

  it('goes on from its last value', async () => {
    const one = await stepped({}, 1)
    const two = await stepped({}, 2)
    expect(two.seen).toBeCloseTo(0.75 * one.seen + 0.25 * (4 + one.w), 6)
  })

  it('of micro-batches is the mean of what each makes of it', async () => {
    const whole = await stepped({}, 3)
    const parts = await stepped({ microBatches: 2 }, 3)
    expect(parts.seen).toBeCloseTo(whole.seen, 5)
    // A value that is not linear in the batch tells the mean of the parts from the whole.
    const forward: TrainStepOptions['forward'] = (graph, values, inputs) => {
      const mean = reduceMean(inputs.x!, [0])
      return { ...options.forward(graph, values, inputs), buffers: { seen: mul(mean, mean) } }
    }
    expect((await stepped({ forward })).seen).toBe(16)
    expect((await stepped({ forward, microBatches: 2 })).seen).toBe((2 ** 2 + 6 ** 2) / 2)
  })

  it('of SAM is that of the first pass', async () => {
    const { w, seen } = await stepped({ optimizer: sam(sgd(), { rho: 1 }) })
    expect(seen).toBe(0.75 * 16 + 0.25 * 6)
    // The gradient is taken one further up.
    expect(w).toBeCloseTo(2 - 0.125 * 2 * 7, 5)
  })

  it('is not averaged', async () => {
    const { state, seen, w } = await stepped({ ema: 0.5 })
    expect(Object.keys(state).sort()).toEqual(['bundle.0', 'ema.bundle.0', 'seen'])
    expect(seen).toBe(13.5)
    expect(w).not.toBe(state['bundle.0']!.data[0])
  })

  it('that is frozen stays, and needs no next value', async () => {
    const { seen: spec, ...others } = options.parameters
    const forward: TrainStepOptions['forward'] = (graph, values, inputs) => ({
      loss: options.forward(graph, values, inputs).loss,
    })
    const parameters = { ...others, seen: { ...spec!, frozen: true } }
    expect((await stepped({ parameters, forward })).seen).toBe(16)
    expect((await stepped({ parameters })).seen).toBe(16)
    expect(() => buildTrainStep({ ...options, forward })).toThrow(
      "the forward pass must return under buffers what 'seen' [] becomes, not nothing",
    )
    const wrong: TrainStepOptions['forward'] = (graph, values, inputs) => ({
      ...options.forward(graph, values, inputs),
      buffers: { seen: sub(inputs.x!, 1) },
    })
    expect(() => buildTrainStep({ ...options, forward: wrong })).toThrow(
      "what 'seen' [] becomes, not float32[4]",
    )
  })
})
