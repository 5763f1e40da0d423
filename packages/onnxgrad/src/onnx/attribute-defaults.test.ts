import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { Graph } from '../graph/graph.js'
import { operators } from '../ops/registry.js'
import { applyCase } from '../testing/op-cases.js'
import { readOnnx } from './from-onnx.js'
import { attributeTypes, modelType } from './schema.js'
import { toOnnx } from './to-onnx.js'

interface Default {
  readonly kind: 'int' | 'float' | 'string'
  /** Of the opsets that can be read. */
  readonly values: readonly (number | string)[]
}

// What ONNX itself takes where an attribute is left out: tools/make-attribute-defaults.py.
const file = fileURLToPath(new URL('../../fixtures/attribute-defaults.json', import.meta.url))
const table = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, Default>>

const message = (name: string, kind: Default['kind'], value: number | string) => ({
  name,
  type: attributeTypes[kind],
  ...(kind === 'string'
    ? { s: new TextEncoder().encode(String(value)) }
    : { [kind === 'int' ? 'i' : 'f']: value }),
})

describe('an attribute at its default value is accepted', () => {
  const withDefaults = operators.filter(({ name, cases }) => table[name] && cases.length > 0)

  it.each(withDefaults)('$name', definition => {
    const test = definition.cases[0]!
    const graph = new Graph()
    const inputs = test.inputs.map((shape, i) => graph.input(`x${i}`, test.dtype ?? 'float64', shape))
    graph.output('y', applyCase(definition, test, graph, inputs))
    const plain = toOnnx(graph)
    const nodesOf = (bytes: Uint8Array) => {
      const read = readOnnx(bytes)
      const again = new Graph()
      const given = read.inputs.map(({ name, dtype, shape }) => again.input(name, dtype, shape as number[]))
      read.apply(again, Object.fromEntries(given.map(value => [value.name, value])))
      return again.nodes.map(({ definition: { name } }) => name)
    }
    const expected = nodesOf(plain)
    for (const [name, { kind, values }] of Object.entries(table[definition.name]!)) {
      for (const value of values) {
        // biome-ignore lint/suspicious/noExplicitAny: a message may have anything in it
        const model: any = modelType.toObject(modelType.decode(plain))
        for (const node of model.graph.node) {
          if (node.opType !== definition.name) continue
          node.attribute ??= []
          if (node.attribute.some((attribute: { name: string }) => attribute.name === name)) continue
          node.attribute.push(message(name, kind, value))
        }
        const bytes = modelType.encode(modelType.fromObject(model)).finish()
        expect(nodesOf(bytes), name).toEqual(expected)
      }
    }
  })

  it('and at another value refused, where it would change the result', () => {
    const resized = (attribute: object) => {
      const graph = new Graph()
      const definition = operators.find(({ name }) => name === 'Resize')!
      const x = graph.input('x', 'float32', [1, 2, 3, 4])
      graph.output('y', applyCase(definition, definition.cases[0]!, graph, [x]))
      // biome-ignore lint/suspicious/noExplicitAny: a message may have anything in it
      const model: any = modelType.toObject(modelType.decode(toOnnx(graph)))
      model.graph.node[0].attribute.push(attribute)
      const read = readOnnx(modelType.encode(modelType.fromObject(model)).finish())
      const again = new Graph()
      return () => read.apply(again, { x: again.input('x', 'float32', [1, 2, 3, 4]) })
    }
    expect(resized(message('antialias', 'int', 0))).not.toThrow()
    expect(resized(message('antialias', 'int', 1))).toThrow('attribute antialias = 1 is not supported')
    expect(resized(message('keep_aspect_ratio_policy', 'string', 'not_larger'))).toThrow('is not supported')
  })
})
