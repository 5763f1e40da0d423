import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { env } from 'onnxruntime-common'
import type { Feeds, Runtime, Session, SessionOptions, Tensor } from '../session.js'
import type { Request, Response } from './worker.js'

/** Version of ONNX Runtime's interface, which goes with that of the runtime. */
export const runtimeVersion = env.versions.common

export interface NodeRuntimeOptions {
  /** Threads of the runtime's matrix products. Results are bit-identical only for equal counts. Default: all cores. */
  readonly threads?: number
}

/**
 * ONNX Runtime in a worker thread: `run()` blocks the thread that it is called in, and the main thread has
 * signals, servers and progress to attend to.
 */
export function startRuntime(options: NodeRuntimeOptions = {}): Runtime {
  const threads = options.threads ?? availableParallelism()
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { threads } })
  // An idle runtime does not keep the process alive; a call under way does.
  worker.unref()
  const pending = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let count = 0

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
  let ended: Error | undefined
  const failAll = (error: Error) => {
    ended ??= error
    for (const id of [...pending.keys()]) settle(id).reject(error)
  }
  worker.on('error', failAll)
  worker.on('exit', () => failAll(new Error('the runtime was closed')))

  function call<T>(method: Request['method'], ...args: unknown[]): Promise<T> {
    if (ended) return Promise.reject(ended)
    return new Promise((resolve, reject) => {
      const id = count++
      pending.set(id, { resolve: resolve as (value: unknown) => void, reject })
      worker.ref()
      worker.postMessage({ id, method, args } satisfies Request)
    })
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
      await worker.terminate()
    },
  }
}
