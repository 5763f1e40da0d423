import type { DeviceChoice } from '../device.js'
import { matrixThroughput } from '../runtime/matrix-throughput.js'
import { fallbacks, startRuntime } from '../runtime/node/index.js'
import { batch, firstState, tinyViTStep, trainTinyViT } from './tiny-vit.js'

// A process of its own, since the drivers are chosen by environment variables that are read as a process starts.
const options = { threads: 1, device: process.argv[2] as DeviceChoice }
const [runtime, other] = [startRuntime(options), startRuntime(options)]
// Two at work at once: did they not take turns, this process would not live to tell.
const [report] = await Promise.all([trainTinyViT(runtime), matrixThroughput(other, 64, 50)])
const step = tinyViTStep()
const elsewhere = await fallbacks(
  runtime,
  step.model,
  { ...batch(), ...step.scalars(1, 0) },
  { state: step.state, initialState: firstState(step) },
)
await runtime.close()
await other.close()
process.stdout.write(`${JSON.stringify({ ...report, fallbacks: elsewhere })}\n`)
