import { afterAll, describe, expect, it } from 'vitest'
import type { Graph, Value } from '../graph/graph.js'
import { add, mul, sub } from '../ops/elementwise.js'
import { matmul } from '../ops/matrix-product.js'
import { reduceMean } from '../ops/reduction.js'
import { startRuntime } from '../runtime/node/index.js'
import { optimizerGoldens } from './optimizer-goldens.js'
import { adamW, type Optimizer, sgd } from './optimizers.js'
import { layerwiseRates } from './parameters.js'
import { sam } from './sam.js'
import { buildTrainStep } from './train-step.js'

// Linear regression as tools/make-optimizer-goldens.py has it: whoever changes one changes the other.
const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const [ROWS, INPUTS, OUTPUTS] = [4, 3, 2]
const sixteenths = (size: number, formula: (i: number) => number) =>
  Float32Array.from({ length: size }, (_, i) => formula(i) / 16)
const x = sixteenths(ROWS * INPUTS, i => ((i * 7 + 3) % 32) - 16)
const y = sixteenths(ROWS * OUTPUTS, i => ((i * 11 + 5) % 32) - 8)
const start = {
  weight: sixteenths(INPUTS * OUTPUTS, i => ((i * 5 + 1) % 16) - 8),
  bias: sixteenths(OUTPUTS, i => ((i * 3 + 2) % 16) - 4),
}

function forward(graph: Graph, { weight, bias }: Readonly<Record<string, Value>>) {
  const error = sub(
    add(matmul(graph.constant('float32', [ROWS, INPUTS], x), weight!), bias!),
    graph.constant('float32', [ROWS, OUTPUTS], y),
  )
  return { loss: reduceMean(mul(error, error), [0, 1]) }
}

const parameters = {
  weight: { shape: [INPUTS, OUTPUTS], decay: true, depth: 0 },
  bias: { shape: [OUTPUTS], decay: false, depth: 1 },
}

async function run(
  optimizer: Optimizer,
  rates: readonly number[],
  options: Partial<Parameters<typeof buildTrainStep>[0]> = {},
) {
  const step = buildTrainStep({ parameters, forward, optimizer, ...options })
  const session = await runtime.load(step.model, {
    state: step.state,
    initialState: step.initialState(start),
  })
  const losses: number[] = []
  const norms: number[] = []
  for (const [i, rate] of rates.entries()) {
    const { loss, gradientNorm } = await session.run(step.scalars(i + 1, rate))
    losses.push(Number(loss!.data[0]))
    norms.push(Number(gradientNorm!.data[0]))
  }
  const state = await session.readState()
  await session.release()
  const values = (name: string) => Array.from(state[name]?.data ?? [], Number)
  return {
    losses,
    norms,
    // Of different shapes, so each is a bundle of its own.
    weight: values('bundle.0'),
    bias: values('bundle.1'),
    averageWeight: values('ema.bundle.0'),
    averageBias: values('ema.bundle.1'),
    state,
  }
}

const cases: Record<keyof typeof optimizerGoldens, [Optimizer, Parameters<typeof run>[2]?]> = {
  adamW: [adamW({ weightDecay: 0 })],
  'adamW, decay': [adamW({ weightDecay: 0.3 })],
  'adamW, betas, epsilon, clipped': [
    adamW({ betas: [0.8, 0.95], epsilon: 1e-3, weightDecay: 0.1 }),
    { clipNorm: 0.5 },
  ],
  sgd: [sgd()],
  'sgd, momentum': [sgd({ momentum: 0.9 })],
  'sgd, momentum, clipped': [sgd({ momentum: 0.9 }), { clipNorm: 0.25 }],
  'sgd, nesterov': [sgd({ momentum: 0.8, nesterov: true })],
  'sam, sgd, momentum': [sam(sgd({ momentum: 0.9 }), { rho: 0.25 })],
  'sam, adamW, decay, clipped': [sam(adamW({ weightDecay: 0.3 }), { rho: 0.25 }), { clipNorm: 0.25 }],
  'asam, sgd': [sam(sgd(), { rho: 0.5, adaptive: true })],
  'adamW, decay, layer-wise 0.65': [
    adamW({ weightDecay: 0.3 }),
    { parameters: layerwiseRates(parameters, 0.65) },
  ],
  'sgd, momentum, averaged': [sgd({ momentum: 0.9 }), { ema: 0.3 }],
}

describe('against PyTorch', () => {
  const rates = Array.from({ length: 6 }, (_, i) => 0.25 / (i + 1))
  for (const [name, [optimizer, options]] of Object.entries(cases)) {
    it(name, async () => {
      const golden = Object.entries(optimizerGoldens[name as keyof typeof cases])
      const got = await run(optimizer, rates, options)
      for (const [key, wanted] of golden) {
        const values = got[key as 'losses']
        expect(values.length).toBe(wanted.length)
        values.forEach((value, i) => {
          expect(Math.abs(value - wanted[i]!), `${key}[${i}]`).toBeLessThan(2e-6)
        })
      }
    })
  }
})

describe('weight decay', () => {
  it.each([
    ['adamW', (weightDecay: number) => adamW({ weightDecay })],
    ['sgd', (weightDecay: number) => sgd({ weightDecay })],
    ['sgd with momentum', (weightDecay: number) => sgd({ momentum: 0.9, weightDecay })],
  ])('%s: shrinks by rate × decay what is marked, and nothing else', async (_, make) => {
    const [plain, decayed] = [await run(make(0), [0.5]), await run(make(0.25), [0.5])]
    expect(decayed.bias).toEqual(plain.bias)
    decayed.weight.forEach((value, i) => {
      expect(value).toBeCloseTo(plain.weight[i]! - 0.125 * start.weight[i]!, 6)
    })
    const unmarked = await run(make(0.25), [0.5], {
      parameters: { ...parameters, weight: { ...parameters.weight, decay: false } },
    })
    expect(unmarked.weight).toEqual(plain.weight)
  })
})

describe('clipping', () => {
  it('scales all gradients by one factor, to the wanted norm', async () => {
    const free = await run(sgd(), [1])
    const clipped = await run(sgd(), [1], { clipNorm: 0.25 })
    const norm = free.norms[0]!
    expect(norm).toBeGreaterThan(0.25)
    expect(clipped.norms[0]).toBe(norm)
    const moved = (got: typeof free) => [
      ...got.weight.map((v, i) => v - start.weight[i]!),
      ...got.bias.map((v, i) => v - start.bias[i]!),
    ]
    expect(Math.hypot(...moved(clipped))).toBeCloseTo(0.25, 5)
    moved(clipped).forEach((value, i) => {
      expect(value).toBeCloseTo((moved(free)[i]! * 0.25) / norm, 6)
    })
  })

  it('leaves small gradients alone', async () => {
    const [free, clipped] = [await run(sgd(), [1]), await run(sgd(), [1], { clipNorm: 100 })]
    expect(clipped.weight).toEqual(free.weight)
    expect(clipped.bias).toEqual(free.bias)
  })
})

describe('sam', () => {
  it('of a vanishing radius is its base, and adds no memory', async () => {
    const [plain, near] = [await run(sgd(), [0.5, 0.5]), await run(sam(sgd(), { rho: 1e-7 }), [0.5, 0.5])]
    near.weight.forEach((value, i) => {
      expect(value).toBeCloseTo(plain.weight[i]!, 5)
    })
    expect(near.losses[0]).toBe(plain.losses[0])
    expect(Object.keys(near.state)).toEqual(Object.keys(plain.state))
  })
})

describe('memory', () => {
  it('is what each optimizer names, for every bundle of parameters', async () => {
    const bundles = ['bundle.0', 'bundle.1']
    const names = async (optimizer: Optimizer) => Object.keys((await run(optimizer, [0.1])).state).sort()
    expect(await names(adamW())).toEqual(
      bundles.flatMap(name => [name, `optimizer.m.${name}`, `optimizer.v.${name}`]).sort(),
    )
    expect(await names(sgd())).toEqual(bundles)
    expect(await names(sgd({ momentum: 0.5 }))).toEqual(
      bundles.flatMap(name => [name, `optimizer.velocity.${name}`]).sort(),
    )
  })
})
