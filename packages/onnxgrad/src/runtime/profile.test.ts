import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Graph } from '../graph/graph.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { exp } from '../ops/elementwise.js'
import { matmul } from '../ops/matrix-product.js'
import { startRuntime } from './node/index.js'
import { readProfile, sumProfile } from './profile.js'

const RUNS = 4
let json: string
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'onnxgrad-profile-'))
  const graph = new Graph()
  const x = graph.input('x', 'float32', [64, 64])
  const layer = (i: number, value = x) => graph.within(`layer${i}`, () => exp(matmul(value, x)))
  graph.output('y', matmul(layer(1, layer(0)), x))
  const runtime = startRuntime({ threads: 1 })
  const session = await runtime.load(toOnnx(graph), { profile: path.join(folder, 'run') })
  const feeds = { x: { dtype: 'float32', shape: [64, 64], data: new Float32Array(64 * 64) } } as const
  for (let i = 0; i < RUNS; i++) await session.run(feeds)
  await session.release()
  await runtime.close()
  const [file] = await readdir(folder)
  json = await readFile(path.join(folder, file!), 'utf8')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe("the runtime's profile", () => {
  it('is summed up by operator and scope, a run', () => {
    const { runs, entries } = readProfile(json)
    expect(runs).toBe(RUNS)
    const calls = Object.fromEntries(entries.map(({ op, scope, calls }) => [`${scope}/${op}`, calls]))
    expect(calls).toEqual({ 'layer/MatMul': 2, 'layer/Exp': 2, '/MatMul': 1 })
  })

  it('comes to the time of the runs, less what the runtime itself takes', () => {
    const { ms, entries } = readProfile(json)
    const sum = entries.reduce((total, entry) => total + entry.ms, 0)
    expect(sum).toBeGreaterThan(0)
    expect(sum).toBeLessThanOrEqual(ms)
    expect(entries.map(entry => entry.ms)).toEqual(entries.map(entry => entry.ms).sort((a, b) => b - a))
  })

  it('leaves a warm-up out', () => {
    const warm = readProfile(json, RUNS - 1)
    expect(warm.runs).toBe(1)
    expect(warm.entries.reduce((total, { calls }) => total + calls, 0)).toBe(5)
    expect(() => readProfile(json, RUNS)).toThrow('no more than 4 runs')
  })

  it('is joined by operator and by scope', () => {
    const profile = readProfile(json)
    const calls = (by: 'op' | 'scope') =>
      Object.fromEntries(sumProfile(profile, by).map(entry => [entry.name, entry.calls]))
    expect(calls('op')).toEqual({ MatMul: 3, Exp: 2 })
    expect(calls('scope')).toEqual({ layer: 4, '': 1 })
  })

  it('that is cut short is told', () => {
    expect(() => readProfile(json.slice(0, -20))).toThrow('no JSON array of events')
    expect(() => readProfile('{}')).toThrow('no JSON array of events')
  })
})
