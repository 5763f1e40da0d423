import { type BenchResult, partNames } from '@ageb/workbench/benchmark'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ended, json, scratch } from '../../cli/test-kit.js'

const here = scratch('bench')
afterAll(() => here.remove())

const shape = { width: 16, depth: 2, heads: 2, patch: 8, image: 32, batch: 4, threads: 1, seconds: 1 }
const settings = { ...shape, microBatches: 4 }
const flags = Object.entries(shape).flatMap(([name, value]) => [`--${name}`, String(value)])

describe('ageb bench', () => {
  let ended: Ended
  let result: BenchResult
  beforeAll(async () => {
    ended = await here.ageb(['bench', '--json', '--profile', ...flags])
    result = json(ended) as unknown as BenchResult
  }, 300_000)

  it('prints one JSON line on standard output, and its progress on standard error', () => {
    expect(ended.code).toBe(0)
    expect(ended.stdout.trimEnd().split('\n').length).toBe(1)
    for (const part of partNames) expect(ended.stderr).toContain(part)
  })

  it('says on what it was measured', () => {
    expect(result).toMatchObject({ device: 'cpu', cpu: expect.any(String), threads: 1, settings })
    // Before each of the five parts, and at the end.
    expect(result.gemmGflopsMeasured.length).toBe(6)
    expect(result.gemmGflops).toBe(Math.max(...result.gemmGflopsMeasured))
    expect(result.train!.gemmGflopsBefore).toBe(result.gemmGflopsMeasured[0])
    expect(result.train!.gemmGflopsAfter).toBe(result.trigger!.gemmGflopsBefore)
  })

  it('counts the work of a forward pass as it is done by hand', () => {
    const { width: w, depth, patch, image, batch } = shape
    const patches = (image / patch) ** 2
    const tokens = patches + 1
    const block = tokens * (4 * w * w + 2 * 4 * w * w) + 2 * tokens * tokens * w
    const images = batch * (patches * 3 * patch * patch * w + depth * block + w * 10)
    // A normalization's shift goes through the weights of the layer that follows, once a batch.
    const shifts = depth * (3 * w * w + 4 * w * w) + w * 10
    const multiplyAdds = images + shifts
    expect(result.inference!.gflopsPerStep).toBeCloseTo((2 * multiplyAdds) / 1e9, 12)
  })

  it('relates every figure to the others', () => {
    const { train, trigger, inference, gemmGflops } = result
    for (const part of [train!, trigger!, inference!]) {
      const { imagesPerSecond, stepMs, stepMsQuartiles, gflopsPerStep, mfu } = part
      expect(part.steps).toBeGreaterThanOrEqual(5)
      expect(imagesPerSecond).toBeCloseTo((1000 * shape.batch) / stepMs, 6)
      expect(mfu).toBeCloseTo(gflopsPerStep / (stepMs / 1000) / gemmGflops, 9)
      expect(stepMsQuartiles[0]).toBeLessThanOrEqual(stepMs)
      expect(stepMsQuartiles[1]).toBeGreaterThanOrEqual(stepMs)
      expect(part.peakRssMiB).toBeGreaterThan(0)
    }
    // A backward pass on top of a forward pass; the trigger's reaches to the pixels but not to the weights.
    expect(train!.gflopsPerStep).toBeGreaterThan(2 * inference!.gflopsPerStep)
    expect(trigger!.gflopsPerStep).toBeGreaterThan(inference!.gflopsPerStep)
    expect(trigger!.gflopsPerStep).toBeLessThan(train!.gflopsPerStep)
    expect(trigger!.timesForward).toBeGreaterThan(1)
  })

  it('measures the loading of images', () => {
    const { decodedPerSecond, cachedPerSecond, augmentedPerSecond } = result.dataLoading!
    expect(decodedPerSecond).toBeGreaterThan(0)
    expect(cachedPerSecond).toBeGreaterThan(decodedPerSecond)
    expect(augmentedPerSecond).toBeGreaterThan(0)
  })

  it('shows where a training step spends its time', () => {
    const { entries, runs } = result.profile!
    expect(runs).toBe(5)
    const scopes = new Set(entries.map(({ scope }) => scope))
    for (const scope of ['embeddings', 'block', 'backward', 'optimizer']) expect(scopes).toContain(scope)
    // Queries, keys and values together, the attention's output, and the two layers of the MLP.
    expect(entries.find(({ op, scope }) => op === 'Gemm' && scope === 'block')!.calls).toBe(
      4 * shape.depth * settings.microBatches,
    )
  })
})

it('of one part has only that, as an aligned table', async () => {
  const ended = await here.ageb(['bench', '--only', 'inference', ...flags])
  expect(ended.code).toBe(0)
  const labels = ended.stdout.split('\n').map(line => line.split(/ {2,}/)[0])
  expect(labels).toContain('inference')
  expect(labels).not.toContain('training')
})

it.each([
  [['--only', 'train,nothing'], "'nothing' is not one of train"],
  [['--heads', '5'], '--heads'],
  [['--seconds', '0'], 'whole number from 1'],
  [['--micro-batches', '3'], '--micro-batches 3 does not divide --batch 64'],
])('of %j is misuse', async (more, message) => {
  const ended = await here.ageb(['bench', ...more])
  expect(ended).toMatchObject({ code: 2, stdout: '' })
  expect(ended.stderr).toContain(message)
})
