import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { train, trainingConfig, trainingStep } from '@ageb/lab'
import { type Runtime, readProfile } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { peakRssMiB } from '../../stages/memory.js'
import { paceOf, WARM_UP } from '../../stages/speed.js'
import type { BenchSettings, PartResults } from '../settings.js'
import { isEnough } from './measure.js'
import { benchModel, benchWeights, noise } from './subject.js'

const PROFILED_STEPS = 5

const configOf = ({ batch, microBatches }: BenchSettings) =>
  trainingConfig.parse({
    batchSize: batch,
    microBatches,
    optimizer: 'adamw',
    labelSmoothing: 0,
    clipNorm: null,
    // It ends when the time is over.
    epochs: 1e9,
  })

/** A training on noise, with augmentation as in `ageb train`. */
export async function benchTrain(settings: BenchSettings): Promise<PartResults['train']> {
  const runtime = startRuntime(settings)
  const seconds: number[] = []
  let [start, last] = [0, 0]
  await trainUntil(runtime, settings, step => {
    const now = performance.now()
    if (step > WARM_UP) seconds.push((now - last) / 1000)
    else start = now
    last = now
    return isEnough(seconds.length, (now - start) / 1000, settings.seconds)
  })
  const { graph } = trainingStep(benchModel(settings), configOf(settings), noise(settings, 1))
  const pace = paceOf(seconds, settings.batch, graph)
  await runtime.close()
  return { ...pace, peakRssMiB: peakRssMiB() }
}

/** The runtime's profile of a few steps of the same training. */
export async function benchProfile(settings: BenchSettings): Promise<PartResults['profile']> {
  const folder = await mkdtemp(path.join(tmpdir(), 'ageb-profile-'))
  const runtime = startRuntime(settings)
  const profiling: Runtime = {
    ...runtime,
    load: (model, options) => runtime.load(model, { ...options, profile: path.join(folder, 'step') }),
  }
  try {
    await trainUntil(profiling, settings, step => step === WARM_UP + PROFILED_STEPS)
    const [file] = await readdir(folder)
    const profile = readProfile(await readFile(path.join(folder, file!), 'utf8'), WARM_UP)
    return { ...profile, peakRssMiB: peakRssMiB() }
  } finally {
    await runtime.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Trains until `isDone` returns true after a step. */
async function trainUntil(
  runtime: Runtime,
  settings: BenchSettings,
  isDone: (step: number) => boolean,
): Promise<void> {
  const model = benchModel(settings)
  const done = new AbortController()
  try {
    await train({
      runtime,
      model,
      from: benchWeights(model),
      data: noise(settings, 8 * settings.batch),
      config: configOf(settings),
      seed: 1,
      onStep({ step }) {
        if (isDone(step)) done.abort()
      },
      signal: done.signal,
    })
  } catch (error) {
    if (error !== done.signal.reason) throw error
  }
}
