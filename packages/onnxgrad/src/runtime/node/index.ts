import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { env } from 'onnxruntime-common'
import type { Feeds, Runtime, Session, SessionOptions, Tensor } from '../session.js'
import { Gate } from './gate.js'
import type { Request, Response, WorkerData } from './worker.js'

/** Version of ONNX Runtime's interface, which goes with that of the runtime. */
export const runtimeVersion = env.versions.common

export interface NodeRuntimeOptions {
  /** Threads of the runtime's matrix products. Results are bit-identical only for equal counts. Default: all cores. */
  readonly threads?: number
}

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
 */
export function startRuntime(options: NodeRuntimeOptions = {}): Runtime {
  const threads = options.threads ?? availableParallelism()
  const gate = new Gate()
  const workerData: WorkerData = { threads, gate: gate.memory }
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData,
    // The thread's own objects are few and die soon. By default the engine lets 48 MB of them gather.
    resourceLimits: { maxYoungGenerationSizeMb: 1 },
  })
  // An idle runtime does not keep the process alive; a call under way does.
  worker.unref()
  const pending = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let count = 0
  /** Answers come in the order of the calls. */
  let last: Promise<unknown> = Promise.resolve()

  const settle = (id: number) => {
    const call = pending.get(id)!
    pending.delete(id)
    if (pending.size === 0) worker.unref()
    return call
  }
  worker.on('message', ({ id, result, error }: Response) => {
    const call = settle(id)
    if (error === undefined) call.resolve(result)
    else call.reject(new Error(error))
  })
  // A call to a thread that is gone would wait for ever.
  const closed = new Error('the runtime was closed')
  let ended: Error | undefined
  const failAll = (error: Error) => {
    openGates.delete(gate)
    ended ??= error
    for (const id of [...pending.keys()]) settle(id).reject(error)
  }
  worker.on('error', failAll)
  worker.on('exit', () => failAll(closed))
  openGates.add(gate)

  function call<T>(method: Request['method'], ...args: unknown[]): Promise<T> {
    if (ended) return Promise.reject(ended)
    const answer = new Promise<T>((resolve, reject) => {
      const id = count++
      pending.set(id, { resolve: resolve as (value: unknown) => void, reject })
      worker.ref()
      worker.postMessage({ id, method, args } satisfies Request)
    })
    last = answer
    return answer
  }

  return {
    async load(model: Uint8Array, sessionOptions: SessionOptions = {}): Promise<Session> {
      const session = await call<number>('load', model, sessionOptions)
      return {
        run: (feeds: Feeds) => call<Record<string, Tensor>>('run', session, feeds),
        readState: () => call<Record<string, Tensor>>('readState', session),
        release: () => call<void>('release', session),
      }
    },
    async close() {
      ended ??= closed
      await last.catch(() => {})
      await worker.terminate()
    },
  }
}
