import { attackConfig, loadTrigger, triggerGraph } from '@ageb/lab'
import { paceOf, WARM_UP } from '@ageb/workbench'
import { startRuntime } from 'onnxgrad/node'
import type { BenchSettings, PartResults } from '../settings.js'
import { loadForward } from './inference.js'
import { median, peakRssMiB, timed } from './measure.js'
import { benchModel, benchWeights, noise } from './subject.js'

/** AGEB's trigger at pixel level, computed with the model as the surrogate. */
export async function benchTrigger(settings: BenchSettings): Promise<PartResults['trigger']> {
  const { batch, seconds } = settings
  const model = benchModel(settings)
  const options = {
    attack: attackConfig.parse({ name: 'ageb', gradient: 'pixel' }),
    surrogate: { model, weights: benchWeights(model) },
    batch,
  }
  const runtime = startRuntime({ threads: settings.threads })
  const trigger = await loadTrigger(runtime, options)
  const images = noise(settings, batch)
  const pace = paceOf(await timed(seconds, () => trigger.apply(images)), batch, triggerGraph(options))
  // Before there is a second session.
  const peak = peakRssMiB()

  // In turn, so that both see the same machine.
  const { forward } = await loadForward(runtime, settings)
  const ratios: number[] = []
  await timed(seconds / 2, async () => {
    const start = performance.now()
    await forward()
    const between = performance.now()
    await trigger.apply(images)
    ratios.push((performance.now() - between) / (between - start))
  })
  await runtime.close()
  return { ...pace, timesForward: median(ratios.slice(WARM_UP)), peakRssMiB: peak }
}
