import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import type { DType } from '../../graph/types.js'
import type { Feeds, SessionOptions, Tensor } from '../session.js'

/** What lives beside one runtime session: its state, in two sets of buffers that change places after a run. */
interface Hosted {
  readonly session: InferenceSession
  /** Names of the outputs that are returned. */
  readonly outputs: readonly string[]
  /** State input → state output. */
  readonly state: readonly (readonly [string, string])[]
  /** Buffers by state output: those that the next run reads, and those that it writes. */
  current: Record<string, OrtTensor>
  next: Record<string, OrtTensor>
}

/** Holds runtime sessions and their state, in whichever thread it is made. */
export class SessionHost {
  readonly #threads: number
  readonly #hosted = new Map<number, Hosted>()
  #count = 0

  constructor(threads: number) {
    this.#threads = threads
  }

  async load(model: Uint8Array, options: SessionOptions): Promise<number> {
    const session = await InferenceSession.create(model, {
      executionProviders: ['cpu'],
      intraOpNumThreads: this.#threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      // The planned block would come on top of the arena that the first run has filled: nearly twice the memory.
      enableMemPattern: false,
      graphOptimizationLevel: options.optimize === false ? 'disabled' : 'all',
      logSeverityLevel: 3,
      ...(options.profile && { enableProfiling: true, profileFilePrefix: options.profile }),
    })
    const current: Record<string, OrtTensor> = {}
    const next: Record<string, OrtTensor> = {}
    const state = Object.entries(options.state ?? {})
    for (const [input, output] of state) {
      const initial = options.initialState?.[input]
      if (!initial) throw new Error(`state '${input}' has no first value`)
      current[output] = toOrt({ ...initial, data: initial.data.slice() })
      next[output] = toOrt({ ...initial, data: initial.data.slice() })
    }
    const outputs = session.outputNames.filter(name => !(name in current))
    const id = this.#count++
    this.#hosted.set(id, { session, outputs, state, current, next })
    return id
  }

  async run(id: number, feeds: Feeds): Promise<Record<string, Tensor>> {
    const hosted = this.#get(id)
    const all: Record<string, OrtTensor> = {}
    for (const [name, tensor] of Object.entries(feeds)) all[name] = toOrt(tensor)
    for (const [input, output] of hosted.state) all[input] = hosted.current[output]!
    const fetches: Record<string, OrtTensor | null> = { ...hosted.next }
    for (const name of hosted.outputs) fetches[name] = null
    const results = await hosted.session.run(all, fetches)
    const { current, next } = hosted
    hosted.current = next
    hosted.next = current
    return Object.fromEntries(hosted.outputs.map(name => [name, fromOrt(results[name]!)]))
  }

  readState(id: number): Record<string, Tensor> {
    const { state, current } = this.#get(id)
    return Object.fromEntries(
      state.map(([input, output]) => {
        const tensor = fromOrt(current[output]!)
        return [input, { ...tensor, data: tensor.data.slice() }]
      }),
    )
  }

  async release(id: number): Promise<void> {
    await this.#get(id).session.release()
    this.#hosted.delete(id)
  }

  #get(id: number): Hosted {
    const hosted = this.#hosted.get(id)
    if (!hosted) throw new Error('the session was released')
    return hosted
  }
}

function toOrt({ dtype, data, shape }: Tensor): OrtTensor {
  return new OrtTensor(dtype as 'float32', data as Float32Array, shape)
}

function fromOrt(tensor: OrtTensor): Tensor {
  return { dtype: tensor.type as DType, data: tensor.data as Float32Array, shape: tensor.dims }
}
