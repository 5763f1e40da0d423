import { parentPort, workerData } from 'node:worker_threads'
import { serve } from '../remote-host.js'
import { engineFor } from './engine.js'
import { Gate } from './gate.js'

/** What the thread is started with. */
export interface WorkerData {
  /** `Gate.memory`. */
  readonly gate: SharedArrayBuffer
}

const gate = new Gate((workerData as WorkerData).gate)

parentPort!.on(
  'message',
  serve(
    engineFor,
    (response, transfer) => parentPort!.postMessage(response, transfer),
    work => gate.pass(work),
  ),
)
