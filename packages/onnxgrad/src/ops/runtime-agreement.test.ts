import { afterAll, describe, expect, it } from 'vitest'
import { gradients } from '../autodiff/gradients.js'
import { isFloat } from '../graph/dtype.js'
import { Graph, type OpCase, type OpDefinition, type Value } from '../graph/graph.js'
import { sizeOf } from '../graph/tensor.js'
import { startRuntime } from '../runtime/node/index.js'
import { evaluate, numbers } from '../testing/evaluate.js'
import { applyCase, pointOf } from '../testing/op-cases.js'
import { relu } from './activation.js'
import { cast } from './cast.js'
import { And, not, Or } from './comparison.js'
import { mul } from './elementwise.js'
import { operators } from './registry.js'
import { TopK } from './selection.js'

// Walks the registry: what this package says of a graph against what the runtime makes of it.
const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

interface Built {
  readonly graph: Graph
  readonly y: Value
  /** By input name. */
  readonly gradients: readonly (Value | null)[]
  readonly feeds: Readonly<Record<string, readonly number[]>>
}

/** A case's forward pass and, where there is one, its backward pass from a seed of ones. */
function build(definition: OpDefinition, test: OpCase): Built {
  const graph = new Graph()
  const inputs = test.inputs.map((shape, i) => graph.input(`x${i}`, 'float32', shape))
  const y = applyCase(definition, test, graph, inputs)
  const feeds = Object.fromEntries(pointOf(test).map((values, i) => [`x${i}`, values]))
  const seed = () => graph.constant(y.dtype, y.shape, new Array(sizeOf(y.shape)).fill(1))
  const differentiable = typeof definition.gradient === 'function'
  return { graph, y, feeds, gradients: differentiable ? gradients([{ value: y, seed: seed() }], inputs) : [] }
}

/** Applications of the operators that have no gradient, hence no cases of their own. */
const others: Record<string, OpCase[]> = {
  IsNaN: [{ name: 'matrix', inputs: [[2, 3]] }],
  Sign: [{ name: 'matrix', inputs: [[2, 3]] }],
  Round: [{ name: 'matrix', inputs: [[2, 3]], range: [-3, 3] }],
  Floor: [{ name: 'matrix', inputs: [[2, 3]], range: [-3, 3] }],
  Ceil: [{ name: 'matrix', inputs: [[2, 3]], range: [-3, 3] }],
  TopK: [
    {
      name: 'both outputs',
      inputs: [[2, 5]],
      distinct: true,
      build: (graph, [x]) => {
        const [values, indices] = graph.apply(TopK, [x!, graph.constant('int64', [1], [3])], { axis: -1 })
        return mul(values!, cast(indices!, 'float32'))
      },
    },
  ],
  ArgMax: [
    { name: 'kept', inputs: [[2, 3]], distinct: true, attributes: { axis: 1 } },
    { name: 'dropped', inputs: [[2, 3, 2]], distinct: true, attributes: { axis: -2, keepdims: 0 } },
  ],
  ...Object.fromEntries(
    ['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'].map(name => [
      name,
      [
        {
          name: 'broadcast',
          inputs: [
            [2, 1, 3],
            [4, 1],
          ],
        } satisfies OpCase,
      ],
    ]),
  ),
  ...Object.fromEntries(
    [And, Or].map(definition => [
      definition.name,
      [
        {
          name: 'broadcast',
          inputs: [[2, 3], [3]],
          build: (graph, [a, b]) =>
            graph.apply(definition, [cast(relu(a!), 'bool'), cast(relu(b!), 'bool')])[0]!,
        } satisfies OpCase,
      ],
    ]),
  ),
  Not: [
    {
      name: 'matrix',
      inputs: [[2, 3]],
      build: (_, [x]) => not(cast(relu(x!), 'bool')),
    },
  ],
}

for (const definition of operators) {
  const all = [...definition.cases, ...(others[definition.name] ?? [])]
  describe(definition.name, () => {
    it('has a case to run', () => expect(all.length).toBeGreaterThan(0))

    for (const test of all) {
      it(`${test.name}: every inferred type is what the runtime computes`, async () => {
        const { graph, feeds } = build(definition, test)
        const computed = graph.nodes.flatMap(node => node.outputs)
        for (const value of computed) graph.output(value.name, value)
        const got = await evaluate(runtime, graph, feeds, { optimize: false })
        for (const { name, dtype, shape } of computed) {
          expect({ name, dtype: got[name]!.dtype, shape: [...got[name]!.shape] }).toEqual({
            name,
            dtype,
            shape,
          })
          expect(got[name]!.data.length).toBe(sizeOf(shape))
        }
      })

      it(`${test.name}: the runtime's optimizations change nothing`, async () => {
        const { graph, y, feeds, gradients: parts } = build(definition, test)
        graph.output('y', y)
        parts.forEach((part, i) => {
          if (part) graph.output(`g${i}`, part)
        })
        const plain = await evaluate(runtime, graph, feeds, { optimize: false })
        const optimized = await evaluate(runtime, graph, feeds)
        expect(Object.keys(optimized)).toEqual(Object.keys(plain))
        for (const [output, tensor] of Object.entries(plain)) {
          const [a, b] = [numbers(tensor), numbers(optimized[output])]
          expect(optimized[output]!.shape).toEqual(tensor.shape)
          if (!isFloat(tensor.dtype)) expect(b).toEqual(a)
          // Fusion changes the order of sums: a few units in the last place.
          const scale = Math.max(1, ...a.map(Math.abs))
          expect(Math.max(0, ...a.map((v, i) => Math.abs(v - b[i]!))) / scale).toBeLessThan(2e-6)
        }
      })
    }
  })
}
