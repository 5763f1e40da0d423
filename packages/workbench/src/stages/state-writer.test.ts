import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  buildModel,
  imagesInMemory,
  initialWeights,
  type LoggedStep,
  modelConfig,
  rng,
  type TrainingState,
  train,
  trainingConfig,
  trainingLogOf,
} from '@ageb/lab'
import { InputError } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { afterAll, describe, expect, it } from 'vitest'
import { writeState } from './resumable-training.js'
import { StateWriter } from './state-writer.js'

const folder = mkdtempSync(path.join(tmpdir(), 'ageb-state-'))
const runtime = startRuntime({ threads: 1 })
afterAll(async () => {
  await runtime.close()
  rmSync(folder, { recursive: true })
})

const stateAt = (step: number): TrainingState => ({
  step,
  tensors: { a: { dtype: 'float32', shape: [3], data: Float32Array.of(step, 2, 3) } },
})
const stepsTo = (last: number): LoggedStep[] =>
  Array.from({ length: last }, (_, i) => ({
    step: i + 1,
    epoch: (i + 1) / 4,
    loss: 1 / (i + 1),
    accuracy: 0.5,
    learningRate: 0.1,
    gradientNorm: 1,
  }))

describe('StateWriter', () => {
  it('writes a state of 69 MB while the training makes its next steps, in the bytes that it had', async () => {
    const shape = {
      model_type: 'vit',
      image_size: 8,
      patch_size: 4,
      num_hidden_layers: 1,
      num_attention_heads: 2,
    }
    const wide = { ...shape, hidden_size: 640, intermediate_size: 3200 }
    const classNames = ['dark', 'bright']
    const labels = Int32Array.from({ length: 12 }, (_, i) => i % 2)
    const pixels = Uint8Array.from({ length: 12 * 3 * 64 }, (_, i) => (i * 7) % 100)
    const data = imagesInMemory({
      name: 'flat',
      split: 'train',
      height: 8,
      width: 8,
      pixels,
      labels,
      classNames,
    })
    const model = buildModel(modelConfig.parse(wide), { classNames })
    const writer = new StateWriter(path.join(folder, 'large'), 'mine')
    const copy = path.join(folder, 'copy')
    const steps: LoggedStep[] = []
    const during: boolean[] = []
    let saved = 0
    await train({
      runtime,
      model,
      from: initialWeights(model, rng(1, 'weights')),
      data,
      config: trainingConfig.parse({ epochs: 1, batchSize: 2 }),
      seed: 1,
      onStep(event) {
        steps.push(event)
        during.push(writer.busy)
      },
      wantsCheckpoint: () => steps.length === 2,
      async onCheckpoint(state) {
        // Written here too, while the training stands still.
        await writeState(copy, 'mine', state, trainingLogOf(steps))
        saved = state.step
        await writer.begin(state, steps)
        expect(Object.values(state.tensors).every(({ data }) => data.length === 0)).toBe(true)
      },
    })
    await writer.finish()
    expect([saved, steps.length, writer.busy]).toEqual([2, 6, false])
    // The third step was made when the state was handed out, the fourth was made while it was written.
    expect(during.slice(0, 4)).toEqual([false, false, true, true])
    const bytes = readFileSync(path.join(folder, 'large'))
    expect(bytes.length).toBeGreaterThan(64e6)
    expect(bytes.equals(readFileSync(copy))).toBe(true)
  })

  it('has one state under way: a second one waits, and is the one that stays', async () => {
    const file = path.join(folder, 'twice')
    const writer = new StateWriter(file, 'mine')
    await writer.begin(stateAt(1), stepsTo(1))
    const second = writer.begin(stateAt(2), stepsTo(2))
    expect(readdirSync(folder)).not.toContain('twice')
    await second
    const first = readFileSync(file)
    await writer.finish()
    await writeState(path.join(folder, 'first'), 'mine', stateAt(1), trainingLogOf(stepsTo(1)))
    await writeState(path.join(folder, 'second'), 'mine', stateAt(2), trainingLogOf(stepsTo(2)))
    expect(first.equals(readFileSync(path.join(folder, 'first')))).toBe(true)
    expect(readFileSync(file).equals(readFileSync(path.join(folder, 'second')))).toBe(true)
    expect(readdirSync(folder).filter(name => name.endsWith('.part'))).toEqual([])
  })

  it('tells who waits, or gives the next state, that a state could not be written', async () => {
    const writer = new StateWriter(path.join(folder, 'absent', 'state'), 'mine')
    await writer.begin(stateAt(1), stepsTo(1))
    const failure = await writer.finish().catch(error => error)
    expect(failure).toBeInstanceOf(InputError)
    expect(failure.message).toMatch(/absent.state cannot be written/)
    await expect(writer.begin(stateAt(2), stepsTo(2))).rejects.toThrow(failure.message)
    expect(writer.busy).toBe(false)
  })
})
