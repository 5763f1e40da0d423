import { ageb, mapBatches, programGraph, surrogateOf } from '@ageb/lab'
import { forDevice, toOnnx } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { peakRssMiB } from '../../stages/memory.js'
import { paceOf, WARM_UP } from '../../stages/speed.js'
import type { BenchSettings, PartResults } from '../settings.js'
import { loadForward } from './inference.js'
import { median, timed } from './measure.js'
import { benchModel, benchWeights, noise } from './subject.js'

/** AGEB's trigger at pixel level, computed with the model as the surrogate. */
export async function benchTrigger(settings: BenchSettings): Promise<PartResults['trigger']> {
  const { batch, seconds } = settings
  const model = benchModel(settings)
  const surrogate = surrogateOf({ model, weights: benchWeights(model) })
  const images = noise(settings, batch)
  const { height, width, classNames } = images
  const context = { seed: 1, height, width, classes: classNames.length, surrogate }
  const program = ageb.configure({ gradient: 'pixel' }).trigger(context, {})
  const { graph } = programGraph(program, { batch, height, width })
  const runtime = startRuntime(settings)
  const session = await runtime.load(toOnnx(forDevice(graph, await runtime.device())))
  const apply = () => mapBatches(session, images, batch, () => {})
  const pace = paceOf(await timed(seconds, apply), batch, graph)
  // Before there is a second session.
  const peak = peakRssMiB()

  // In turn, so that both see the same machine.
  const { forward } = await loadForward(runtime, settings)
  const ratios: number[] = []
  await timed(seconds / 2, async () => {
    const start = performance.now()
    await forward()
    const between = performance.now()
    await apply()
    ratios.push((performance.now() - between) / (between - start))
  })
  await runtime.close()
  return { ...pace, timesForward: median(ratios.slice(WARM_UP)), peakRssMiB: peak }
}
