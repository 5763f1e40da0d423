import { describe, expect, it } from 'vitest'
import { Graph } from '../graph/graph.js'
import type { Tensor } from '../graph/tensor.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { add } from '../ops/elementwise.js'
import { engineFor } from './node/engine.js'
import { SessionHost } from './session-host.js'

// In this very thread: across a worker's messages everything is a copy anyway.
const cpu = await engineFor({ threads: 1, device: 'cpu' })
const scalar = (value: number): Tensor => ({ dtype: 'float32', shape: [1], data: Float32Array.of(value) })

/** State (a, b, sum): each run makes it (b, a, a + b + sum), so that no output may be written over an input. */
async function load(host: SessionHost) {
  const graph = new Graph()
  const [a, b, sum] = ['a', 'b', 'sum'].map(name => graph.input(name, 'float32', [1]))
  graph.output('a.next', b!)
  graph.output('b.next', a!)
  graph.output('sum.next', add(add(a!, b!), sum!))
  return host.load(toOnnx(graph), {
    state: { a: 'a.next', b: 'b.next', sum: 'sum.next' },
    initialState: { a: scalar(1), b: scalar(2), sum: scalar(0) },
  })
}

const valuesOf = (state: Record<string, Tensor>) =>
  Object.fromEntries(Object.entries(state).map(([name, { data }]) => [name, Number(data[0])]))

describe('state', () => {
  it('goes from run to run', async () => {
    const host = new SessionHost(cpu)
    const id = await load(host)
    for (let i = 1; i <= 4; i++) {
      expect(await host.run(id, {})).toEqual({})
      const [a, b] = i % 2 === 0 ? [1, 2] : [2, 1]
      expect(valuesOf(await host.readState(id))).toEqual({ a, b, sum: 3 * i })
    }
    await host.release(id)
  })

  it('is given away by the run that it was the beginning of', async () => {
    const host = new SessionHost(cpu)
    const id = await load(host)
    const { outputs, state } = await host.runAndTakeState(id, {})
    expect(outputs).toEqual({})
    await host.run(id, {})
    const later = await host.runAndTakeState(id, {})
    expect(valuesOf(state)).toEqual({ a: 1, b: 2, sum: 0 })
    expect(valuesOf(later.state)).toEqual({ a: 1, b: 2, sum: 6 })
    expect(valuesOf(await host.readState(id))).toEqual({ a: 2, b: 1, sum: 9 })
    await host.release(id)
  })

  it('is read as a copy, and each session has its own', async () => {
    const host = new SessionHost(cpu)
    const [one, other] = [await load(host), await load(host)]
    const before = await host.readState(one)
    await host.run(one, {})
    const after = await host.readState(one)
    await host.run(one, {})
    await host.run(one, {})
    expect(valuesOf(before)).toEqual({ a: 1, b: 2, sum: 0 })
    expect(valuesOf(after)).toEqual({ a: 2, b: 1, sum: 3 })
    expect(valuesOf(await host.readState(other))).toEqual({ a: 1, b: 2, sum: 0 })
    await host.release(one)
    await host.release(other)
    await expect(host.readState(one)).rejects.toThrow('the session was released')
  })
})
