import { afterAll, describe, expect, it } from 'vitest'
import type { Graph, Value } from '../graph/graph.js'
import { add, mul, sub } from '../ops/elementwise.js'
import { reduceMean } from '../ops/reduction.js'
import { startRuntime } from '../runtime/node/index.js'
import { adamW, type Optimizer, sgd } from './optimizers.js'
import { freeze, type Layered, layerwiseRates, type ParameterSpec } from './parameters.js'
import { buildTrainStep } from './train-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const start = { a: Float32Array.of(1, -2), 'b.w': Float32Array.of(3, 0.5), 'b.v': Float32Array.of(-1, 4) }
const plain: Record<string, ParameterSpec> = {
  a: { shape: [2], decay: true },
  'b.w': { shape: [2], decay: true },
  'b.v': { shape: [2], decay: true },
}

function forward(graph: Graph, p: Readonly<Record<string, Value>>) {
  const error = sub(add(mul(p.a!, p['b.w']!), p['b.v']!), graph.constant('float32', [2], [0.25, -0.5]))
  return { loss: reduceMean(mul(error, error), [0]) }
}

/** How far each parameter was moved by the first step, and the state after two. */
async function moves(parameters: Record<string, ParameterSpec>, optimizer: Optimizer, ema?: number) {
  const step = buildTrainStep({ parameters, forward, optimizer, ...(ema !== undefined && { ema }) })
  const session = await runtime.load(step.model, {
    state: step.state,
    initialState: step.initialState(start),
  })
  await session.run(step.scalars(1, 0.125))
  const one = await session.readState()
  await session.run(step.scalars(2, 0.125))
  const state = await session.readState()
  await session.release()
  const after = buildTrainStep({ parameters, forward, optimizer }).result(one)
  const moved = (name: keyof typeof start) =>
    Array.from(start[name], (value, i) => Number(after[name]![i]) - value)
  return { a: moved('a'), w: moved('b.w'), v: moved('b.v'), state, step }
}

describe('a factor on the rate', () => {
  it.each([
    ['sgd', sgd({ weightDecay: 0.25 })],
    ['adamW', adamW({ weightDecay: 0.25 })],
  ])('of a half moves half as far, decay and all, and changes nothing else (%s)', async (_, optimizer) => {
    const whole = await moves(plain, optimizer)
    const half = await moves({ ...plain, a: { ...plain.a!, rate: 0.5 } }, optimizer)
    half.a.forEach((move, i) => {
      expect(Math.abs(whole.a[i]!)).toBeGreaterThan(0.05)
      expect(move).toBeCloseTo(whole.a[i]! / 2, 6)
    })
    expect([half.w, half.v]).toEqual([whole.w, whole.v])
  })

  it('of one is the graph without it, and below or at zero is refused', () => {
    const options = { parameters: plain, forward, optimizer: sgd() }
    const rated = (rate: number) => ({ ...options, parameters: { ...plain, a: { ...plain.a!, rate } } })
    expect(buildTrainStep(rated(1)).model).toEqual(buildTrainStep(options).model)
    expect(() => buildTrainStep(rated(0))).toThrow("parameter 'a' has rate 0: freeze it, or make it above 0")
  })
})

describe('a frozen parameter', () => {
  it('does not move to the last bit, has no gradient and no memory; the others go on', async () => {
    const optimizer = adamW({ weightDecay: 0.25 })
    const frozen = await moves(freeze(plain, ['a', 'b.v']), optimizer, 0.5)
    expect([frozen.a, frozen.v]).toEqual([
      [0, 0],
      [0, 0],
    ])
    expect(Object.keys(frozen.state).sort()).toEqual(
      ['a', 'b.v', 'bundle.0', 'ema.bundle.0', 'optimizer.m.bundle.0', 'optimizer.v.bundle.0'].sort(),
    )
    expect(frozen.state.a!.data).toEqual(start.a)
    expect(frozen.step.result(frozen.state)['b.v']).toEqual(start['b.v'])
    expect(frozen.w).toEqual((await moves(plain, optimizer)).w)
    const nodes = (parameters: Record<string, ParameterSpec>) =>
      buildTrainStep({ parameters, forward, optimizer }).graph.nodes.filter(n =>
        n.name.startsWith('backward/'),
      )
    expect(nodes(freeze(plain, ['a'])).length).toBeLessThan(nodes(plain).length)
  })

  it('is named whole or by its group', () => {
    const frozen = (names: string[]) =>
      Object.entries(freeze(plain, names)).flatMap(([name, spec]) => (spec.frozen ? [name] : []))
    expect(frozen(['b'])).toEqual(['b.w', 'b.v'])
    expect(frozen(['b.v'])).toEqual(['b.v'])
    expect(frozen([])).toEqual([])
    expect(() => frozen(['b.'])).toThrow("no parameter is called 'b.' or begins so: they begin a, b.w, b.v")
  })

  it('leaves another one to train', () => {
    expect(() =>
      buildTrainStep({ parameters: freeze(plain, ['a', 'b']), forward, optimizer: sgd() }),
    ).toThrow('every parameter is frozen: leave one free to train')
  })
})

describe('layer-wise rates', () => {
  it('fall by one factor a layer from the deepest', () => {
    const parameters: Record<string, ParameterSpec & Layered> = {
      embeddings: { shape: [1], decay: false, depth: 0 },
      block: { shape: [1], decay: true, depth: 1, rate: 2 },
      head: { shape: [1], decay: true, depth: 2 },
    }
    const rates = layerwiseRates(parameters, 0.75)
    expect(Object.entries(rates).map(([name, { rate }]) => [name, rate])).toEqual([
      ['embeddings', 0.5625],
      ['block', 1.5],
      ['head', 1],
    ])
    expect(() => layerwiseRates({ ...parameters, other: { shape: [1], decay: true } }, 0.75)).toThrow(
      "layer-wise rates need every parameter's depth, and 'other' has none: give it one or do without",
    )
  })
})
