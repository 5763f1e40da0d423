import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildModel, defineAttack, modelConfig, parameterCount, trainingConfig } from '@ageb/lab'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { runPart } from '../benchmark/run-part.js'
import { backdoorRunConfig, backdoorRunConfigWith } from '../configuration/backdoor-config.js'
import { check, readConfiguration } from '../configuration/resolve.js'
import { trainRunConfig } from '../configuration/train-config.js'
import { writeTinyModel } from '../testing/fixtures.js'
import { memoryOf, microBatchesFor } from './memory.js'
import { plan } from './plan.js'
import { publishedData, publishedModels } from './published.js'
import { workloadOf } from './workload.js'

const classNames = Array.from({ length: 10 }, (_, i) => String(i))
const modelOf = (width: number, depth: number) =>
  buildModel(
    modelConfig.parse({
      hidden_size: width,
      num_hidden_layers: depth,
      num_attention_heads: 2,
      intermediate_size: 4 * width,
    }),
    { classNames },
  )

describe('the memory that is planned', () => {
  const triggers = { poison: 0, test: 0, bytes: 0 }
  // A run of their own measures them; on other systems the program itself takes another amount.
  it.runIf(process.platform === 'linux')('is within a fifth of what a training takes', async () => {
    const [width, depth, batch] = [128, 6, 128]
    const shape = {
      width,
      depth,
      batch,
      heads: 2,
      patch: 4,
      image: 32,
      microBatches: 1,
      device: 'cpu' as const,
    }
    const { peakRssMiB } = await runPart('train', { ...shape, threads: 2, seconds: 0.1 })
    const training = trainingConfig.parse({ batchSize: batch, labelSmoothing: 0, clipNorm: null })
    const data = { train: 8 * batch, test: 0, classes: 10 }
    const work = { data, model: modelOf(width, depth), trainings: 1, triggers, otherOperations: 0 }
    const memory = memoryOf(work, training)
    const planned = (memory.data + memory.step) / 2 ** 20
    console.log(`planned ${planned.toFixed(0)} MiB, taken ${peakRssMiB.toFixed(0)} MiB`)
    expect(planned / peakRssMiB).toBeGreaterThan(0.8)
    expect(planned / peakRssMiB).toBeLessThan(1.2)
  })

  it('falls with micro-batches, of which the fewest that fit are named', () => {
    const model = modelOf(32, 2)
    const training = trainingConfig.parse({ batchSize: 512 })
    const work = {
      data: { train: 0, test: 0, classes: 10 },
      model,
      trainings: 1,
      triggers,
      otherOperations: 0,
    }
    const needs = (microBatches: number) => {
      const { step, checkpoint } = memoryOf(work, { ...training, microBatches })
      return step + checkpoint
    }
    expect(needs(2)).toBeLessThan(needs(1))
    expect(needs(4)).toBeLessThan(needs(2))
    expect(microBatchesFor(model, training, needs(1))).toBe(1)
    expect(microBatchesFor(model, training, needs(4))).toBe(4)
    expect(microBatchesFor(model, training, 1000)).toBeUndefined()
  })
})

describe('triggered images', () => {
  it('count as memory only where they are few: of many, those that are read are', () => {
    const model = modelOf(8, 1)
    const training = trainingConfig.parse({ batchSize: 4 })
    const held = (test: number) => {
      const shape = { data: { train: 0, test: 0, classes: 10 }, model, trainings: 2, otherOperations: 0 }
      return memoryOf({ ...shape, triggers: { poison: 10, test, bytes: 3072 } }, training).data
    }
    expect(held(1000)).toBe(1010 * 3072)
    expect(held(100_000)).toBe(10 * 3072)
  })
})

describe('configurations of the paper', () => {
  const folder = fileURLToPath(new URL('../../configs/paper', import.meta.url))
  const counts: Record<string, number> = {
    'vit-b16': 85.8e6,
    'deit-s': 21.7e6,
    'deit-b': 85.8e6,
    'swin-t': 27.5e6,
  }

  it.each(readdirSync(folder))('%s is one, of a model whose shape is known', async file => {
    const plain = await readConfiguration(`${folder}/${file}`)
    const config = check(backdoorRunConfig, plain, file)
    expect(config.training.batchSize % config.training.microBatches).toBe(0)
    const data = publishedData[config.dataset]!
    const model = buildModel(publishedModels[config.victim]!, { classNames })
    const expected = counts[file.replace('.yaml', '')]!
    expect(parameterCount(model) / expected).toBeCloseTo(1, 2)
    expect(data).toMatchObject({ train: 50_000, classes: 10 })
  })
})

describe('the work of a run', () => {
  it('counts both trainings and the triggers of a backdoor', async () => {
    const config = check(
      backdoorRunConfig,
      { kind: 'backdoor', training: { epochs: 1, batchSize: 50 } },
      'test',
    )
    const said: string[] = []
    const terminal = { say: (text: string) => said.push(text), progress: () => ({ update() {}, stop() {} }) }
    const data = { train: 500, test: 100, classes: 10 }
    const work = await workloadOf(config, data, terminal)
    expect(work.trainings).toBe(2)
    const later = { ...config, surrogate: 'runs/not-yet/model' }
    expect(await workloadOf(later, data, terminal)).toMatchObject({ otherOperations: work.otherOperations })
    expect(said).toEqual([expect.stringContaining('runs/not-yet/model does not exist yet')])
    const poisonless = { ...config, poisoning: { ...config.poisoning, rate: 0.5 } }
    expect((await workloadOf(poisonless, data, terminal)).otherOperations).toBeGreaterThan(
      work.otherOperations,
    )
  })

  it('takes a surrogate of another size and other classes as it is, and an attack that prepares something', async () => {
    const data = { train: 500, test: 100, classes: 10 }
    const said: string[] = []
    const terminal = { say: (text: string) => said.push(text), progress: () => ({ update() {}, stop() {} }) }
    const folder = mkdtempSync(path.join(tmpdir(), 'ageb-plan-'))
    try {
      await writeTinyModel(folder, { side: 64, classes: ['a', 'b', 'c'] })
      const config = check(backdoorRunConfig, { kind: 'backdoor', surrogate: folder }, 'test')
      const work = await workloadOf(config, data, terminal)
      expect(work.triggers).toEqual({ poison: 50, test: 100, bytes: 3 * 32 ** 2 + 4 * 32 ** 2 })
      expect(said).toEqual([])

      const preparing = defineAttack({
        ...{ name: 'preparing', citation: 'nowhere', url: 'https://example.org', version: 1, access: 'data' },
        parameters: z.strictObject({}),
        presets: {},
        cases: {},
        needs: () => ({ surrogate: true }),
        prepare: async () => ({}),
        poison: () => Promise.reject(new Error('not to be asked')),
        trigger: (_context, _parameters, prepared) => {
          throw new Error(`${prepared.pattern} is missing`)
        },
      })
      const other = check(
        backdoorRunConfigWith([preparing]),
        { kind: 'backdoor', surrogate: folder, attack: 'preparing' },
        'test',
      )
      const prepared = await workloadOf(other, data, terminal, [preparing])
      expect(prepared.otherOperations).toBeGreaterThan(0)
      expect(said).toEqual([expect.stringContaining('preparing prepares its trigger first')])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('plan', () => {
  const model = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 }
  const config = check(trainRunConfig, { threads: 1, dataset: 'not/here', model }, 'here')
  const size = { images: 640, testImages: 64, classes: 10 }

  it('estimates a training from code, of a data set that is not here', async () => {
    const { images, steps, trainings, seconds, secondsPerStep } = await plan(config, size)
    expect({ images, trainings }).toEqual({ images: { train: 640, test: 64, classes: 10 }, trainings: 1 })
    expect(steps).toBe(Math.floor(640 / config.training.batchSize) * config.training.epochs)
    expect(seconds).toBeGreaterThan(steps * secondsPerStep)
  })

  it('is stopped by its signal', async () => {
    const stop = new AbortController()
    const monitor = { say: () => stop.abort('enough'), progress: () => ({ update() {}, stop() {} }) }
    const planning = plan(config, { ...size, monitor, signal: stop.signal })
    await expect(planning).rejects.toBe('enough')
  })
})
