import { parentPort, workerData } from 'node:worker_threads'
import { Gate } from './gate.js'
import { SessionHost } from './session-host.js'

/** A call of one of SessionHost's methods, and its answer. */
export interface Request {
  readonly id: number
  readonly method: 'load' | 'run' | 'readState' | 'release'
  readonly args: readonly unknown[]
}
export interface Response {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

/** What the thread is started with. */
export interface WorkerData {
  readonly threads: number
  /** `Gate.memory`. */
  readonly gate: SharedArrayBuffer
}

const { threads, gate: memory } = workerData as WorkerData
const host = new SessionHost(threads)
const gate = new Gate(memory)
// One call at a time: a run must see the state that the run before it left.
let queue: Promise<void> = Promise.resolve()

parentPort!.on('message', ({ id, method, args }: Request) => {
  queue = queue.then(async () => {
    try {
      const call = host[method] as (...args: unknown[]) => unknown
      parentPort!.postMessage({
        id,
        result: await gate.pass(() => call.apply(host, [...args])),
      } satisfies Response)
    } catch (error) {
      parentPort!.postMessage({ id, error: (error as Error).message } satisfies Response)
    }
  })
})
