import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { Graph } from '../graph/graph.js'
import { sizeOf } from '../graph/tensor.js'
import { startRuntime } from '../runtime/node/index.js'
import { gradientError } from '../testing/check-gradients.js'
import { evaluate, numbers } from '../testing/evaluate.js'
import { pointOf } from '../testing/op-cases.js'
import {
  buildRandom,
  inputShapes,
  operatorsFor,
  operatorsOf,
  type Recipe,
  shapesOf,
} from '../testing/random-graph.js'
import { gradients } from './gradients.js'

// Operators in each other's company: fan-out, repeated operands, broadcasting, outputs that nothing uses. What fails
// is shrunk to the smallest recipe that fails too, and printed with its seed.
const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

const seed = 20_261_123
const runs = 80

const recipes: fc.Arbitrary<Recipe> = fc.record({
  inputs: fc.array(fc.nat(inputShapes.length - 1), { minLength: 1, maxLength: 3 }),
  steps: fc.array(
    fc.record({
      operator: fc.nat(999),
      operands: fc.tuple(fc.nat(99), fc.nat(99)),
      axis: fc.nat(2),
    }),
    { minLength: 1, maxLength: 10 },
  ),
})
const pointFor = (recipe: Recipe) => pointOf({ name: 'random', inputs: shapesOf(recipe) })

describe(`${runs} random graphs of seed ${seed}`, () => {
  /** Runs a check of every graph; an operator that none of them holds is a failure too. */
  async function forAll(operators: readonly string[], check: (recipe: Recipe) => Promise<void>) {
    const met = new Set<string>()
    const property = fc.asyncProperty(recipes, async recipe => {
      for (const name of operatorsOf(recipe, operators)) met.add(name)
      await check(recipe)
    })
    await fc.assert(property, { seed, numRuns: runs })
    expect([...met].sort()).toEqual([...operators].sort())
  }

  it('have the gradients of central differences', async () => {
    const operators = operatorsFor('float64')
    await forAll(operators, async recipe => {
      const error = await gradientError(runtime, {
        inputs: shapesOf(recipe),
        at: pointFor(recipe),
        build: (_, inputs) => buildRandom(recipe, operators, inputs),
        dtype: 'float64',
        step: 1e-5,
        probes: 4,
      })
      expect(error, operatorsOf(recipe, operators).join(', ')).toBeLessThan(1e-5)
    })
  })

  it('are not changed by the optimizations of the runtime, nor are their gradients', async () => {
    const operators = operatorsFor('float32')
    await forAll(operators, async recipe => {
      const graph = new Graph()
      const inputs = shapesOf(recipe).map((shape, i) => graph.input(`x${i}`, 'float32', shape))
      const y = buildRandom(recipe, operators, inputs)
      const ones = graph.constant('float32', y.shape, new Array(sizeOf(y.shape)).fill(1))
      graph.output('y', y)
      gradients([{ value: y, seed: ones }], inputs).forEach((g, i) => {
        graph.output(`g${i}`, g!)
      })
      const feeds = Object.fromEntries(pointFor(recipe).map((values, i) => [`x${i}`, values]))
      const plain = await evaluate(runtime, graph, feeds, { optimize: false })
      const optimized = await evaluate(runtime, graph, feeds)
      for (const [name, tensor] of Object.entries(plain)) {
        const [a, b] = [numbers(tensor), numbers(optimized[name])]
        // Other orders of summation, through ten operators: far below what a wrong fusion would do.
        const scale = Math.max(1, ...a.map(Math.abs))
        expect(a.every(Number.isFinite), name).toBe(true)
        expect(Math.max(...a.map((v, i) => Math.abs(v - b[i]!))) / scale, name).toBeLessThan(1e-4)
      }
    })
  })
})
