import type { DeviceChoice } from '../runtime/device.js'
import { fallbacks, startRuntime } from '../runtime/node/index.js'
import { batch, firstState, tinyViTStep, trainTinyViT } from './tiny-vit.js'

// A process of its own, since the drivers are chosen by environment variables that are read as a process starts.
const runtime = startRuntime({ threads: 1, device: process.argv[2] as DeviceChoice })
const report = await trainTinyViT(runtime)
const step = tinyViTStep()
const elsewhere = await fallbacks(
  runtime,
  step.model,
  { ...batch(), ...step.scalars(1, 0) },
  { state: step.state, initialState: firstState(step) },
)
await runtime.close()
process.stdout.write(`${JSON.stringify({ ...report, fallbacks: elsewhere })}\n`)
