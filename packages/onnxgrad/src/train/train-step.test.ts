import { afterAll, describe, expect, it } from 'vitest'
import type { Tensor } from '../graph/tensor.js'
import { tanh } from '../ops/activation.js'
import { mul } from '../ops/elementwise.js'
import { linear } from '../ops/matrix-product.js'
import { startRuntime } from '../runtime/node/index.js'
import { correctCount, crossEntropy } from './losses.js'
import { adamW, sgd } from './optimizers.js'
import { buildTrainStep, type TrainStepOptions } from './train-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const [BATCH, INPUTS, HIDDEN, CLASSES] = [6, 4, 5, 3]
const options: TrainStepOptions = {
  parameters: {
    'hidden.weight': { shape: [HIDDEN, INPUTS], decay: true },
    'hidden.bias': { shape: [HIDDEN], decay: false },
    'out.weight': { shape: [CLASSES, HIDDEN], decay: true },
  },
  forward(graph, p) {
    const x = graph.input('x', 'float32', [BATCH, INPUTS])
    const labels = graph.input('labels', 'int64', [BATCH])
    const logits = linear(tanh(linear(x, p['hidden.weight']!, p['hidden.bias']!)), p['out.weight']!)
    return { loss: crossEntropy(logits, labels, 0.1), deliver: { correct: correctCount(logits, labels) } }
  },
  optimizer: adamW({ weightDecay: 0.05 }),
  clipNorm: 1,
}
const step = buildTrainStep(options)

/** Values spread over (−1, 1), different for every salt. */
const spread = (size: number, salt: number) =>
  Float32Array.from({ length: size }, (_, i) => 2 * (((i + 1) * Math.SQRT2 + salt * 0.37) % 1) - 1)
const first = {
  'hidden.weight': spread(HIDDEN * INPUTS, 1),
  'hidden.bias': spread(HIDDEN, 2),
  'out.weight': spread(CLASSES * HIDDEN, 3),
}
const feedsOf = (i: number) => ({
  x: { dtype: 'float32', shape: [BATCH, INPUTS], data: spread(BATCH * INPUTS, i + 4) } as const,
  labels: {
    dtype: 'int64',
    shape: [BATCH],
    data: BigInt64Array.from({ length: BATCH }, (_, j) => BigInt((i + j) % CLASSES)),
  } as const,
  ...step.scalars(i + 1, 0.05 / (i + 1)),
})

const load = (initialState: Record<string, Tensor>) =>
  runtime.load(step.model, { state: step.state, initialState })
const bytes = (state: Record<string, Tensor>) =>
  Object.fromEntries(
    Object.entries(state).map(([name, { data }]) => [
      name,
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex'),
    ]),
  )

describe('the state of a session', () => {
  it('after k steps is, bit by bit, that of k single steps each loaded anew', async () => {
    const session = await load(step.initialState(first))
    let carried = step.initialState(first)
    for (let i = 0; i < 5; i++) {
      const together = await session.run(feedsOf(i))
      const single = await load(carried)
      const alone = await single.run(feedsOf(i))
      carried = await single.readState()
      await single.release()
      expect(alone).toEqual(together)
      expect(bytes(carried)).toEqual(bytes(await session.readState()))
    }
    await session.release()
  })

  it('is read as a copy that later steps do not touch, and starts from one', async () => {
    const initial = step.initialState(first)
    const session = await load(initial)
    expect(bytes(await session.readState())).toEqual(bytes(initial))
    await session.run(feedsOf(0))
    const one = await session.readState()
    const held = bytes(one)
    expect(held).not.toEqual(bytes(initial))
    await session.run(feedsOf(1))
    await session.run(feedsOf(2))
    expect(bytes(one)).toEqual(held)
    expect(step.result(initial)).toEqual(first)
    await session.release()
  })

  it('is as it was after a run that failed', async () => {
    const session = await load(step.initialState(first))
    await session.run(feedsOf(0))
    const before = bytes(await session.readState())
    const { labels, ...incomplete } = feedsOf(1)
    await expect(session.run(incomplete)).rejects.toThrow(/labels/)
    expect(bytes(await session.readState())).toEqual(before)
    await session.run({ ...incomplete, labels })
    expect(bytes(await session.readState())).not.toEqual(before)
    await session.release()
  })
})

describe('buildTrainStep', () => {
  it('gives the same bytes twice', () => {
    expect(buildTrainStep(options).model).toEqual(step.model)
  })

  it('learns', async () => {
    const session = await load(step.initialState(first))
    const losses: number[] = []
    for (let i = 0; i < 40; i++) {
      const out = await session.run({ ...feedsOf(0), ...step.scalars(i + 1, 0.05) })
      losses.push(Number(out.loss!.data[0]))
      if (i === 39) expect(Number(out.correct!.data[0])).toBe(BATCH)
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 2)
    await session.release()
  })

  it('refuses a parameter that does not reach the loss, and a missing first value', () => {
    const parameters = { w: { shape: [2], decay: false }, idle: { shape: [2], decay: false } }
    expect(() =>
      buildTrainStep({
        parameters,
        optimizer: sgd(),
        forward: (graph, { w }) => ({
          loss: crossEntropy(mul(w!, graph.input('x', 'float32', [1, 2])), graph.constant('int64', [1], [0])),
        }),
      }),
    ).toThrow("parameter 'idle' has no influence on the loss")
    expect(() => step.initialState({ ...first, 'hidden.bias': undefined as never })).toThrow(
      "parameter 'hidden.bias' has no first value",
    )
  })

  it("starts the optimizer's memory at zero", () => {
    const state = step.initialState(first)
    const memory = Object.entries(state).filter(([name]) => name.startsWith('optimizer.'))
    const sizes = (slot: string) =>
      memory.flatMap(([name, { data }]) => (name.startsWith(`optimizer.${slot}.`) ? data.length : []))
    const all = HIDDEN * INPUTS + HIDDEN + CLASSES * HIDDEN
    for (const slot of ['m', 'v']) expect(sizes(slot).reduce((sum, size) => sum + size)).toBe(all)
    for (const [, { data }] of memory) expect(data).toEqual(new Float32Array(data.length))
    expect(Object.keys(state).sort()).toEqual(Object.keys(step.state).sort())
  })
})

describe('averages of the parameters', () => {
  it('start at them, are the result, and leave their course alone', async () => {
    const averaged = buildTrainStep({ ...options, ema: 0.9 })
    const initialState = averaged.initialState(first)
    expect(averaged.result(initialState)).toEqual(first)
    expect(Object.keys(initialState).sort()).toEqual(Object.keys(averaged.state).sort())
    const [plain, session] = [
      await load(step.initialState(first)),
      await runtime.load(averaged.model, { state: averaged.state, initialState }),
    ]
    for (let i = 0; i < 3; i++) {
      await plain.run(feedsOf(i))
      await session.run({ ...feedsOf(i), ...averaged.scalars(i + 1, 0.05 / (i + 1)) })
    }
    const [state, ended] = [await session.readState(), await plain.readState()]
    expect(bytes(state)).toMatchObject(bytes(ended))
    expect(step.result(state)).toEqual(step.result(ended))
    expect(averaged.result(state)['out.weight']).not.toEqual(step.result(ended)['out.weight'])
    await Promise.all([plain.release(), session.release()])
  })

  it('decay slowly only once there is something to average', () => {
    const { scalars } = buildTrainStep({ ...options, ema: 0.9 })
    const decay = (at: number) => Number(scalars(at, 1).emaDecay!.data[0])
    expect([1, 2, 80, 81, 1000].map(decay)).toEqual([2 / 11, 3 / 12, 81 / 90, 0.9, 0.9].map(Math.fround))
  })
})

describe('a runtime', () => {
  it('names state without a first value, and refuses calls after its end', async () => {
    await expect(runtime.load(step.model, { state: step.state })).rejects.toThrow(
      "state 'bundle.0' has no first value",
    )
    const session = await load(step.initialState(first))
    await session.release()
    await expect(session.run(feedsOf(0))).rejects.toThrow('the session was released')
    const closed = startRuntime({ threads: 1 })
    await closed.close()
    await expect(closed.load(step.model)).rejects.toThrow('the runtime was closed')
  })

  it('says what is wrong with a file that is no model', async () => {
    await expect(runtime.load(new Uint8Array([1, 2, 3]))).rejects.toThrow(/protobuf|model/i)
  })
})
