import type { Device, RuntimeOptions } from '../device.js'
import { InputError } from '../errors.js'
import type { Feeds, Tensor } from '../graph/tensor.js'
import type { Runtime, Session, SessionOptions } from './session.js'
import { type Engine, SessionHost } from './session-host.js'

/** A call of one of SessionHost's methods, or the first one, which makes the host; and its answer. */
export interface Request {
  readonly id: number
  readonly method: 'start' | 'load' | 'run' | 'runAndTakeState' | 'readState' | 'release'
  readonly args: readonly unknown[]
}
export interface Response {
  readonly id: number
  readonly result?: unknown
  readonly error?: { readonly name: string; readonly message: string }
}

/**
 * In the thread of the sessions: answers requests one after the other, since a run must see the state that the run
 * before it left, and since two runs on WebGPU at a time crash.
 */
export function serve(
  engineFor: (options: RuntimeOptions) => Promise<Engine>,
  /** Sends an answer; the buffers in `transfer` may be moved instead of copied. */
  post: (response: Response, transfer: ArrayBuffer[]) => void,
  /** Carries out what enters the runtime's native code. */
  guard: (work: () => Promise<unknown>) => Promise<unknown> = work => work(),
): (request: Request) => void {
  let host: SessionHost
  const answer = async ({ method, args }: Request): Promise<unknown> => {
    if (method === 'start') {
      const engine = await engineFor(args[0] as RuntimeOptions)
      host = new SessionHost(engine)
      return engine.device
    }
    const call = host[method] as (...args: unknown[]) => unknown
    return call.apply(host, [...args])
  }
  let queue: Promise<void> = Promise.resolve()
  return request => {
    queue = queue.then(async () => {
      try {
        const result = await guard(() => answer(request))
        post({ id: request.id, result }, buffersOf(givenAway(request.method, result)))
      } catch (error) {
        const { name, message } = error instanceof Error ? error : new Error(String(error))
        post({ id: request.id, error: { name, message } }, [])
      }
    })
  }
}

/** The tensors of an answer that the host needs no more. What a run delivers is the runtime's own memory. */
function givenAway(method: Request['method'], result: unknown): Feeds {
  if (method === 'readState') return result as Feeds
  return method === 'runAndTakeState' ? (result as { state: Feeds }).state : {}
}

const buffersOf = (tensors: Feeds) => [
  ...new Set(Object.values(tensors).map(({ data }) => data.buffer as ArrayBuffer)),
]

const only = (tensors: Feeds, names: readonly string[] = []): Feeds =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => names.includes(name)))

const copyOf = (tensors: Feeds): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() }]),
  )

/** The thread of the sessions, seen from outside. */
export interface Thread {
  /** The buffers in `transfer` are moved instead of copied. */
  post(request: Request, transfer: ArrayBuffer[]): void
  /** Called once, with what takes the answers, and what takes the reason why no more will come. */
  listen(answer: (response: Response) => void, end: (error: Error) => void): void
  /** Told when the first call of several begins, and when the last has ended. */
  busy?(busy: boolean): void
  /** Carries a call out when no other thread's is under way, for devices that crash otherwise. */
  inTurn?<T>(call: () => Promise<T>): Promise<T>
  terminate(): Promise<void>
}

/** A runtime whose sessions live in another thread. */
export function connect(thread: Thread, options: RuntimeOptions): Runtime {
  const pending = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let count = 0
  const settle = (id: number) => {
    const call = pending.get(id)!
    pending.delete(id)
    if (pending.size === 0) thread.busy?.(false)
    return call
  }
  /** Answers come in the order of the calls. */
  let last: Promise<unknown> = Promise.resolve()
  // A call to a thread that is gone would wait for ever.
  const closed = new Error('the runtime was closed')
  let ended: Error | undefined
  const end = (error: Error) => {
    ended ??= error
    for (const id of [...pending.keys()]) settle(id).reject(ended)
  }
  thread.listen(({ id, result, error }) => {
    const call = settle(id)
    if (error === undefined) call.resolve(result)
    else call.reject(error.name === 'InputError' ? new InputError(error.message) : new Error(error.message))
  }, end)

  function call<T>(method: Request['method'], args: readonly unknown[], moved: Feeds = {}): Promise<T> {
    if (ended) return Promise.reject(ended)
    const now = () => send<T>(method, args, buffersOf(moved))
    const answer = thread.inTurn ? thread.inTurn(now) : now()
    last = answer
    return answer
  }
  function send<T>(method: Request['method'], args: readonly unknown[], transfer: ArrayBuffer[]): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = count++
      pending.set(id, { resolve: resolve as (value: unknown) => void, reject })
      if (pending.size === 1) thread.busy?.(true)
      thread.post({ id, method, args }, transfer)
    })
  }

  let started: Promise<Device> | undefined
  const device = () => {
    started ??= call<Device>('start', [options])
    return started
  }
  return {
    device,
    async load(model: Uint8Array, sessionOptions: SessionOptions = {}): Promise<Session> {
      await device()
      // Copied here and moved: a message that is cloned is held twice more on its way.
      const initialState = copyOf(sessionOptions.initialState ?? {})
      const session = await call<number>('load', [model, { ...sessionOptions, initialState }], initialState)
      return {
        run: (feeds, moved) => call('run', [session, feeds], only(feeds, moved)),
        runAndTakeState: (feeds, moved) => call('runAndTakeState', [session, feeds], only(feeds, moved)),
        readState: (names?: readonly string[]) => call<Record<string, Tensor>>('readState', [session, names]),
        release: () => call<void>('release', [session]),
      }
    },
    async close() {
      ended ??= closed
      await last.catch(() => {})
      await thread.terminate()
      end(closed)
    },
  }
}
