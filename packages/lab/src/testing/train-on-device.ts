import type { DeviceChoice } from 'onnxgrad'
import { startRuntime } from 'onnxgrad/node'
import { trainPooled } from './train-pooled.js'

// A process of its own, since the drivers are chosen by environment variables that are read as a process starts.
const runtime = startRuntime({ threads: 1, device: process.argv[2] as DeviceChoice })
const trainings = await trainPooled(runtime)
const device = await runtime.device()
await runtime.close()
process.stdout.write(`${JSON.stringify({ device, trainings })}\n`)
