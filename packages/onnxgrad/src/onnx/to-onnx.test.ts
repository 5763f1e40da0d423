import { afterAll, describe, expect, it } from 'vitest'
import { Graph, type Value } from '../graph/graph.js'
import { add, mul, neg } from '../ops/elementwise.js'
import { expand } from '../ops/layout.js'
import { reshape } from '../ops/reshaping.js'
import { TopK, topK } from '../ops/selection.js'
import { startRuntime } from '../runtime/node/index.js'
import { evaluate, numbers } from '../testing/evaluate.js'
import { readOnnx } from './from-onnx.js'
import { modelType } from './schema.js'
import { toOnnx } from './to-onnx.js'

const runtime = startRuntime({ threads: 1 })
afterAll(() => runtime.close())

interface Decoded {
  readonly producerName: string
  readonly docString: string
  readonly metadataProps: readonly { key: string; value: string }[]
  readonly graph: {
    readonly name: string
    readonly node: readonly { opType: string; name: string }[]
    readonly initializer: readonly { name: string }[]
  }
}
const decode = (bytes: Uint8Array) => modelType.decode(bytes) as unknown as Decoded

describe('toOnnx', () => {
  it('leaves out what no output depends on', () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2])
    graph.initializer('unused', 'float32', [1], Float32Array.of(7))
    neg(mul(x, graph.initializer('dead', 'float32', [], Float32Array.of(3))))
    graph.output('y', add(x, graph.initializer('live', 'float32', [], Float32Array.of(1))))
    const { node, initializer } = decode(toOnnx(graph)).graph
    expect(node.map(n => n.opType)).toEqual(['Add'])
    expect(initializer.map(tensor => tensor.name)).toEqual(['live'])
  })

  it('gives the same bytes for the same graph', () => {
    const build = () => {
      const graph = new Graph()
      const x = graph.input('x', 'float32', [2, 3])
      graph.output('y', mul(topK(x, 2), 0.5))
      return toOnnx(graph, { name: 'same', metadata: { a: '1', b: '2' } })
    }
    expect(build()).toEqual(build())
  })

  it('writes name, description and metadata', () => {
    const graph = new Graph()
    graph.output('y', neg(graph.input('x', 'float32', [1])))
    const model = decode(
      toOnnx(graph, { name: 'negation', doc: 'Changes the sign.', metadata: { by: 'test' } }),
    )
    expect(model.graph.name).toBe('negation')
    expect(model.docString).toBe('Changes the sign.')
    expect(model.metadataProps.map(({ key, value }) => [key, value])).toEqual([['by', 'test']])
  })

  describe('of two sizes of the batch', () => {
    const build = (batch: number, change: (x: Value) => Value = x => x) => {
      const graph = new Graph()
      const x = graph.input('x', 'float32', [2, batch, 3])
      const rows = expand(graph.constant('float32', [1, 3], [1, 2, 3]), [2 * batch, 3])
      const sum = add(reshape(x, [2 * batch, 3]), rows)
      graph.output('y', change(reshape(sum, [2, batch, 3])))
      return graph
    }

    it('leaves it free where they differ', async () => {
      const bytes = toOnnx(build(1009), { otherBatch: build(1013) })
      const session = await runtime.load(bytes)
      for (const batch of [1, 4]) {
        const data = Float32Array.from({ length: 6 * batch }, (_, i) => i)
        const { y } = await session.run({ x: { dtype: 'float32', shape: [2, batch, 3], data } })
        expect(y!.shape).toEqual([2, batch, 3])
        expect(numbers(y)).toEqual(Array.from(data, (v, i) => v + 1 + (i % 3)))
      }
      await session.release()
      expect(readOnnx(bytes).inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [2, 'batch', 3] }])
    })

    it('refuses graphs that differ in more', () => {
      const faults: [Graph, string][] = [
        [build(1013, neg), 'differ in more than the batch'],
        [build(1013, x => mul(x, 2)), 'differ in more than the batch'],
        [build(1009), 'no input has another shape'],
      ]
      for (const [otherBatch, message] of faults)
        expect(() => toOnnx(build(1009), { otherBatch })).toThrow(message)
      const scaled = (batch: number) => build(batch, x => mul(x, 1 / batch))
      expect(() => toOnnx(scaled(1009), { otherBatch: scaled(1013) })).toThrow(
        'depends on the batch, and is no shape',
      )
    })
  })

  it('does not write a graph that does not verify', () => {
    expect(() => toOnnx(new Graph())).toThrow('the graph has no output')
  })
})

describe('outputs are delivered', () => {
  const make = () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', [2])
    return { graph, x, double: add(x, x) }
  }
  const run = async (graph: Graph) =>
    Object.fromEntries(
      Object.entries(await evaluate(runtime, graph, { x: [1, -2] })).map(([name, t]) => [name, numbers(t)]),
    )

  it('where they are inputs, under another name and under their own', async () => {
    const { graph, x, double } = make()
    graph.output('copy', x)
    graph.output('x', x)
    graph.output('double', double)
    expect(await run(graph)).toEqual({ copy: [1, -2], x: [1, -2], double: [2, -4] })
  })

  it('where they are constants', async () => {
    const { graph, double } = make()
    const constant = graph.initializer('c', 'float32', [2], Float32Array.of(5, 6))
    graph.output('constant', constant)
    graph.output('c', constant)
    graph.output('double', double)
    expect(await run(graph)).toEqual({ constant: [5, 6], c: [5, 6], double: [2, -4] })
  })

  it('where one value goes out several times and is used inside', async () => {
    const { graph, double } = make()
    graph.output('first', double)
    graph.output('second', double)
    graph.output('negative', neg(double))
    expect(await run(graph)).toEqual({ first: [2, -4], second: [2, -4], negative: [-2, 4] })
  })

  it.each([0, 1])('where one of the names is the inner one (place %i)', async place => {
    const { graph, double } = make()
    const names = ['public'].toSpliced(place, 0, double.name)
    for (const name of names) graph.output(name, double)
    expect(await run(graph)).toEqual({ public: [2, -4], [double.name]: [2, -4] })
  })

  it('where the node has other outputs too', async () => {
    const { graph, x } = make()
    const [values, indices] = graph.apply(TopK, [x, graph.constant('int64', [1], [1])])
    graph.output('indices', indices!)
    expect(await run(graph)).toEqual({ indices: [0] })
    graph.output('values', values!)
    expect(await run(graph)).toEqual({ indices: [0], values: [1] })
  })
})
