import type {
  InferenceSession,
  InferenceSessionFactory,
  Tensor as OrtTensor,
  TensorConstructor,
} from 'onnxruntime-common'
import { Graph } from '../graph/graph.js'
import { toOnnx } from '../graph/to-onnx.js'
import type { DType } from '../graph/types.js'
import { identity } from '../ops/elementwise.js'
import type { Device } from './device.js'
import type { Feeds, SessionOptions, Tensor } from './session.js'

/** A build of ONNX Runtime, set up for one device: onnxruntime-node or onnxruntime-web. */
export interface Engine {
  readonly InferenceSession: InferenceSessionFactory
  readonly Tensor: TensorConstructor
  readonly device: Device
  readonly sessionOptions: InferenceSession.SessionOptions
  /**
   * How state passes from run to run. 'swapped': two sets of buffers change places. 'returned': each run's outputs
   * are the next one's inputs, for builds that cannot write into given buffers. 'on-device': so too, but the tensors
   * never leave the graphics processor.
   */
  readonly state: 'swapped' | 'returned' | 'on-device'
}

/** What lives beside one runtime session. */
interface Hosted {
  readonly session: InferenceSession
  /** Names of the outputs that are returned. */
  readonly outputs: readonly string[]
  /** State input → state output. */
  readonly state: readonly (readonly [string, string])[]
  /** State by output name, as the next run reads it. */
  current: Record<string, OrtTensor>
  /** Buffers that the next run writes; none unless state is swapped. */
  spare: Record<string, OrtTensor>
  /** Copies state to the processor, once it was needed. */
  reader?: InferenceSession
}

/** Holds runtime sessions and their state, in whichever thread it is made. One call at a time. */
export class SessionHost {
  readonly #engine: Engine
  readonly #hosted = new Map<number, Hosted>()
  #count = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  async load(model: Uint8Array, options: SessionOptions): Promise<number> {
    const state = Object.entries(options.state ?? {})
    const current: Record<string, OrtTensor> = {}
    const spare: Record<string, OrtTensor> = {}
    for (const [input, output] of state) {
      const initial = options.initialState?.[input]
      if (!initial) throw new Error(`state '${input}' has no first value`)
      current[output] = this.#toOrt({ ...initial, data: initial.data.slice() })
      if (this.#engine.state === 'swapped') {
        spare[output] = this.#toOrt({ ...initial, data: initial.data.slice() })
      }
    }
    const session = await this.#create(model, {
      graphOptimizationLevel: options.optimize === false ? 'disabled' : 'all',
      ...(options.profile && { enableProfiling: true, profileFilePrefix: options.profile }),
      ...(this.#engine.state === 'on-device' && {
        preferredOutputLocation: Object.fromEntries(
          state.map(([, output]) => [output, 'gpu-buffer' as const]),
        ),
      }),
    })
    const outputs = session.outputNames.filter(name => !(name in current))
    const id = this.#count++
    this.#hosted.set(id, { session, outputs, state, current, spare })
    return id
  }

  async run(id: number, feeds: Feeds): Promise<Record<string, Tensor>> {
    const hosted = this.#get(id)
    const { session, outputs, state, current, spare } = hosted
    const all: Record<string, OrtTensor> = {}
    for (const [name, tensor] of Object.entries(feeds)) all[name] = this.#toOrt(tensor)
    for (const [input, output] of state) all[input] = current[output]!
    const fetches: Record<string, OrtTensor | null> = {}
    for (const name of session.outputNames) fetches[name] = spare[name] ?? null
    const results = await session.run(all, fetches)
    hosted.current = Object.fromEntries(state.map(([, output]) => [output, results[output]!]))
    if (this.#engine.state === 'swapped') hosted.spare = current
    else dispose(current)
    return Object.fromEntries(outputs.map(name => [name, fromOrt(results[name]!)]))
  }

  async readState(id: number): Promise<Record<string, Tensor>> {
    const hosted = this.#get(id)
    const read = this.#engine.state === 'on-device' ? await this.#download(hosted) : hosted.current
    return Object.fromEntries(
      hosted.state.map(([input, output]) => {
        const tensor = fromOrt(read[output]!)
        return [input, { ...tensor, data: tensor.data.slice() }]
      }),
    )
  }

  async release(id: number): Promise<void> {
    const { session, reader, current } = this.#get(id)
    this.#hosted.delete(id)
    dispose(current)
    await reader?.release()
    await session.release()
  }

  #create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> {
    return this.#engine.InferenceSession.create(model, { ...this.#engine.sessionOptions, ...options })
  }

  /** State on the processor. Node's build cannot read a tensor on the graphics processor, but run a graph on it. */
  async #download(hosted: Hosted): Promise<Record<string, OrtTensor>> {
    const { state, current } = hosted
    if (state.length === 0) return {}
    if (!hosted.reader) {
      const graph = new Graph()
      for (const [input, output] of state) {
        const { type, dims } = current[output]!
        graph.output(output, identity(graph.input(input, type as DType, dims)))
      }
      hosted.reader = await this.#create(toOnnx(graph), {})
    }
    return hosted.reader.run(Object.fromEntries(state.map(([input, output]) => [input, current[output]!])))
  }

  #get(id: number): Hosted {
    const hosted = this.#hosted.get(id)
    if (!hosted) throw new Error('the session was released')
    return hosted
  }

  #toOrt({ dtype, data, shape }: Tensor): OrtTensor {
    return new this.#engine.Tensor(dtype as 'float32', data as Float32Array, shape)
  }
}

function dispose(tensors: Record<string, OrtTensor>): void {
  for (const tensor of Object.values(tensors)) tensor.dispose()
}

function fromOrt(tensor: OrtTensor): Tensor {
  return { dtype: tensor.type as DType, data: tensor.data as Float32Array, shape: tensor.dims }
}
