import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { env } from 'onnxruntime-common'
import type { RuntimeChoice } from '../../device.js'
import { connect } from '../remote-host.js'
import type { Runtime } from '../session.js'
import { Gate } from './gate.js'
import type { WorkerData } from './worker.js'

export { type Fallback, fallbacks } from './fallbacks.js'

/** Version of ONNX Runtime's interface, which goes with that of the runtime. */
export const runtimeVersion = env.versions.common

/** Gates of the workers that run. */
const openGates = new Set<Gate>()
// When the process ends, Node tears its threads down wherever they are.
process.on('exit', () => {
  for (const gate of openGates) gate.shut()
  for (const gate of openGates) gate.waitUntilLeft()
})

/**
 * ONNX Runtime in a worker thread: `run()` blocks the thread that it is called in, and the main thread has
 * signals, servers and progress to attend to. The end of the process waits for the call under way.
 *
 * @param options.threads default: all cores
 * @param options.device default: 'cpu'. One that is not there makes the first call fail, with an InputError.
 */
export function startRuntime(options: RuntimeChoice = {}): Runtime {
  const { threads = availableParallelism(), device = 'cpu' } = options
  const gate = new Gate()
  const workerData: WorkerData = { gate: gate.memory }
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData,
    // Flags of the process, such as those of --eval, are not the worker's.
    execArgv: [],
    // The thread's own objects are few and die soon. By default the engine lets 48 MB of them gather.
    resourceLimits: { maxYoungGenerationSizeMb: 1 },
  })
  // An idle runtime does not keep the process alive; a call under way does.
  worker.unref()
  openGates.add(gate)
  return connect(
    {
      post: (request, transfer) => worker.postMessage(request, transfer),
      listen(answer, end) {
        worker.on('message', answer)
        worker.on('error', end)
        worker.on('exit', () => {
          openGates.delete(gate)
          end(new Error('the runtime was closed'))
        })
      },
      busy: busy => (busy ? worker.ref() : worker.unref()),
      ...(device !== 'cpu' && { inTurn }),
      terminate: async () => void (await worker.terminate()),
    },
    { threads, device },
  )
}

/** The WebGPU library ends the process with a segmentation fault when two threads use it: runtimes take turns. */
function inTurn<T>(call: () => Promise<T>): Promise<T> {
  const mine = turn.then(call)
  turn = mine.catch(() => {})
  return mine
}
let turn: Promise<unknown> = Promise.resolve()
