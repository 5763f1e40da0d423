import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Node } from '../graph/graph.js'
import { Tanh, tanh } from '../ops/activation.js'
import { cast } from '../ops/cast.js'
import { div, Mul, mul } from '../ops/elementwise.js'
import { Slice, transpose } from '../ops/layout.js'
import { linear } from '../ops/matrix-product.js'
import { reshape } from '../ops/reshaping.js'
import { startRuntime } from '../runtime/node/index.js'
import { correctCount, crossEntropy } from './losses.js'
import { adamW } from './optimizers.js'
import { sam } from './sam.js'
import { buildTrainStep, type TrainStepOptions } from './train-step.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const [BATCH, INPUTS, HIDDEN, CLASSES] = [12, 4, 5, 3]
const options: TrainStepOptions = {
  parameters: {
    w1: { shape: [HIDDEN, INPUTS], decay: true },
    b1: { shape: [HIDDEN], decay: false },
    w2: { shape: [CLASSES, HIDDEN], decay: true },
    scale: { shape: [], decay: false },
  },
  // One input of every type that a batch may have, one of them with examples along its second axis.
  inputs: {
    x: { dtype: 'uint8', shape: [BATCH, INPUTS] },
    labels: { dtype: 'int64', shape: [BATCH] },
    kept: { dtype: 'float32', shape: [2, BATCH], axis: 1 },
  },
  forward(_, p, { x, labels, kept }) {
    const n = x!.shape[0]!
    const factors = mul(reshape(transpose(kept!, [1, 0]), [n, 2, 1]), p.scale!)
    const hidden = tanh(linear(div(cast(x!, 'float32'), 255), p.w1!, p.b1!))
    const both = mul(reshape(hidden, [n, 1, HIDDEN]), factors)
    const logits = reshape(linear(both, p.w2!), [2 * n, CLASSES])
    const twice = reshape(transpose(reshape(labels!, [1, n]), [1, 0]), [n])
    const picked = linear(reshape(logits, [n, 2 * CLASSES]), eye(logits.graph))
    return { loss: crossEntropy(picked, twice, 0.1), deliver: { correct: correctCount(picked, twice) } }
  },
  optimizer: adamW({ weightDecay: 0.05 }),
  clipNorm: 0.5,
}
const eye = (graph: Parameters<TrainStepOptions['forward']>[0]) =>
  graph.constant(
    'float32',
    [CLASSES, 2 * CLASSES],
    Array.from({ length: CLASSES * 2 * CLASSES }, (_, i) =>
      i % CLASSES === Math.floor(i / (2 * CLASSES)) ? 1 : 0,
    ),
  )

const spread = (size: number, salt: number) =>
  Float32Array.from({ length: size }, (_, i) => 2 * (((i + 1) * Math.SQRT2 + salt * 0.37) % 1) - 1)
const first = {
  w1: spread(HIDDEN * INPUTS, 1),
  b1: spread(HIDDEN, 2),
  w2: spread(CLASSES * HIDDEN, 3),
  scale: Float32Array.of(0.75),
}
const batch = (i: number) => ({
  x: {
    dtype: 'uint8',
    shape: [BATCH, INPUTS],
    data: Uint8Array.from({ length: BATCH * INPUTS }, (_, j) => (i * 31 + j * 57) % 256),
  } as const,
  labels: {
    dtype: 'int64',
    shape: [BATCH],
    data: BigInt64Array.from({ length: BATCH }, (_, j) => BigInt((i + j * j) % CLASSES)),
  } as const,
  kept: { dtype: 'float32', shape: [2, BATCH], data: spread(2 * BATCH, i + 5) } as const,
})

async function trained(changes: Partial<TrainStepOptions>, profile?: string) {
  // A profile's order of nodes is that of one step.
  const steps = profile === undefined ? 3 : 1
  const step = buildTrainStep({ ...options, ...changes })
  const session = await runtime.load(step.model, {
    state: step.state,
    initialState: step.initialState(first),
    ...(profile !== undefined && { profile }),
  })
  const delivered: number[][] = []
  for (let i = 0; i < steps; i++) {
    const out = await session.run({ ...batch(i), ...step.scalars(i + 1, 0.05) })
    delivered.push(['loss', 'gradientNorm', 'correct'].map(name => Number(out[name]!.data[0])))
  }
  const state = await session.readState()
  await session.release()
  return { delivered, state, graph: step.graph }
}

describe('micro-batches', () => {
  it.each([
    ['adamW', options.optimizer],
    ['SAM', sam(options.optimizer, { rho: 0.3 })],
  ])('give what the whole batch gives, up to rounding (%s)', async (_, optimizer) => {
    const whole = await trained({ optimizer })
    for (const microBatches of [2, 3, 12]) {
      const parts = await trained({ optimizer, microBatches })
      parts.delivered.forEach((values, i) => {
        const [loss, norm, correct] = whole.delivered[i]!
        expect(values[0]).toBeCloseTo(loss!, 5)
        expect(values[1]).toBeCloseTo(norm!, 5)
        expect(values[2]).toBe(correct)
      })
      for (const [name, { data }] of Object.entries(whole.state)) {
        const got = Array.from(parts.state[name]!.data, Number)
        Array.from(data, Number).forEach((value, i) => {
          expect(got[i], `${name}[${i}]`).toBeCloseTo(value, 4)
        })
      }
    }
  })

  it('of one are the graph without them', () => {
    expect(buildTrainStep({ ...options, microBatches: 1 }).model).toEqual(buildTrainStep(options).model)
  })

  it('come one after the other, so that memory is freed in between', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'micro-batches-'))
    try {
      const { graph } = await trained({ microBatches: 3 }, path.join(folder, 'profile'))
      const [file] = await readdir(folder)
      const events = JSON.parse(await readFile(path.join(folder, file!), 'utf8')) as { name: string }[]
      const ran = events.map(({ name }) => name.replace(/_kernel_time$/, ''))
      for (const part of [1, 2]) {
        // What depends on the batch, after it was sliced: parameters alone may be prepared at any time.
        const fed = new Set<Node | null>()
        for (const node of graph.nodes) {
          if (!node.name.startsWith(`micro${part}/`)) continue
          if (node.definition === Slice && node.inputs[0]!.name in batch(0)) fed.add(node)
          if (node.inputs.some(input => input?.producer && fed.has(input.producer))) fed.add(node)
        }
        const sliced = [...fed].filter(node => node!.inputs[0]!.producer !== null)
        const names = new Set(sliced.map(node => node!.name))
        const begun = ran.findIndex(name => names.has(name))
        // A change of shape moves nothing, and may come at any time, too.
        const ended = ran.findLastIndex(
          name => name.startsWith(`micro${part - 1}/backward/`) && !name.includes('/Reshape'),
        )
        expect(ended).toBeGreaterThan(0)
        expect(begun).toBeGreaterThan(ended)
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('leave what parameters alone decide to be differentiated once', async () => {
    const scaled: TrainStepOptions['forward'] = (graph, p, fed) =>
      options.forward(graph, { ...p, w1: tanh(p.w1!) }, fed)
    const { graph } = await trained({ forward: scaled, microBatches: 3 })
    const squashed = graph.nodes.filter(
      ({ definition, inputs }) => definition === Tanh && inputs[0]!.shape.join() === `${HIDDEN},${INPUTS}`,
    )
    expect(squashed).toHaveLength(1)
    const slopes = graph.nodes.filter(
      ({ definition, inputs }) =>
        definition === Mul && inputs.every(input => input === squashed[0]!.outputs[0]),
    )
    expect(slopes.map(({ name }) => name.split('/')[0])).toEqual(['backward'])
  })

  it('must divide the batch, and need to know its inputs', () => {
    expect(() => buildTrainStep({ ...options, microBatches: 5 })).toThrow(
      "input 'x' [12, 4] does not divide into 5 micro-batches along axis 0",
    )
    const forward: TrainStepOptions['forward'] = (graph, { w1, b1 }) => ({
      loss: crossEntropy(
        linear(graph.input('z', 'float32', [BATCH, INPUTS]), w1!, b1!),
        graph.constant('int64', [BATCH], Array(BATCH).fill(0)),
      ),
    })
    const { w1, b1 } = options.parameters
    const own = { parameters: { w1: w1!, b1: b1! }, forward, optimizer: options.optimizer }
    const message = /^the forward pass adds the input 'z', but is called .*: declare it under inputs$/
    expect(() => buildTrainStep({ ...own, microBatches: 2 })).toThrow(message)
    expect(() => buildTrainStep({ ...own, optimizer: sam(own.optimizer) })).toThrow(message)
    expect(buildTrainStep(own).graph.inputs.map(({ name }) => name)).toContain('z')
  })
})
