import { parentPort, workerData } from 'node:worker_threads'
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

const host = new SessionHost((workerData as { threads: number }).threads)
// One call at a time: a run must see the state that the run before it left.
let queue: Promise<void> = Promise.resolve()

parentPort!.on('message', ({ id, method, args }: Request) => {
  queue = queue.then(async () => {
    try {
      const call = host[method] as (...args: unknown[]) => unknown
      parentPort!.postMessage({ id, result: await call.apply(host, [...args]) } satisfies Response)
    } catch (error) {
      parentPort!.postMessage({ id, error: (error as Error).message } satisfies Response)
    }
  })
})
