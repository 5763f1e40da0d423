import { classifierGraph, mapBatches } from '@ageb/lab'
import { forDevice, type Runtime, toOnnx } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { peakRssMiB } from '../../stages/memory.js'
import { paceOf } from '../../stages/speed.js'
import type { BenchSettings, PartResults } from '../settings.js'
import { timed } from './measure.js'
import { benchModel, benchWeights, noise } from './subject.js'

/** Predicts the classes of a batch of images, as `ageb eval` does. */
export async function benchInference(settings: BenchSettings): Promise<PartResults['inference']> {
  const runtime = startRuntime(settings)
  const { forward, graph } = await loadForward(runtime, settings)
  const pace = paceOf(await timed(settings.seconds, forward), settings.batch, graph)
  await runtime.close()
  return { ...pace, peakRssMiB: peakRssMiB() }
}

/** One forward pass of the model over a batch, ready to be repeated. */
export async function loadForward(runtime: Runtime, settings: BenchSettings) {
  const model = benchModel(settings)
  const images = noise(settings, settings.batch)
  const graph = classifierGraph(model, benchWeights(model), settings.batch)
  const session = await runtime.load(toOnnx(forDevice(graph, await runtime.device())))
  return { graph, forward: () => mapBatches(session, images, settings.batch, () => {}) }
}
