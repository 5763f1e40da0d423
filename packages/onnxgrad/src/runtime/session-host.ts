import type {
  InferenceSession,
  InferenceSessionFactory,
  Tensor as OrtTensor,
  TensorConstructor,
} from 'onnxruntime-common'
import type { Device } from '../device.js'
import type { DType } from '../graph/dtype.js'
import { Graph } from '../graph/graph.js'
import type { Feeds, Tensor } from '../graph/tensor.js'
import { toOnnx } from '../onnx/to-onnx.js'
import { identity } from '../ops/elementwise.js'
import type { SessionOptions } from './session.js'

/** A build of ONNX Runtime, set up for one device: onnxruntime-node or onnxruntime-web. */
export interface Engine {
  readonly InferenceSession: InferenceSessionFactory
  readonly Tensor: TensorConstructor
  readonly device: Device
  readonly sessionOptions: InferenceSession.SessionOptions
  /**
   * Where state is between two runs: each run's outputs are the next one's inputs. 'on-device': they never leave the
   * memory of the graphics processor.
   */
  readonly state: 'in-memory' | 'on-device'
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

  /** Takes `options.initialState` over: what is in it must not be used or changed any more. */
  async load(model: Uint8Array, options: SessionOptions): Promise<number> {
    const state = Object.entries(options.state ?? {})
    const current: Record<string, OrtTensor> = {}
    for (const [input, output] of state) {
      const initial = options.initialState?.[input]
      if (!initial) throw new Error(`state '${input}' has no first value`)
      current[output] = this.#toOrt(initial)
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
    this.#hosted.set(id, { session, outputs, state, current })
    return id
  }

  async run(id: number, feeds: Feeds): Promise<Record<string, Tensor>> {
    const { outputs, before } = await this.#advance(id, feeds)
    this.#free(before)
    return outputs
  }

  async runAndTakeState(id: number, feeds: Feeds) {
    if (this.#engine.state === 'on-device') {
      const state = await this.readState(id)
      return { outputs: await this.run(id, feeds), state }
    }
    const { state } = this.#get(id)
    const { outputs, before } = await this.#advance(id, feeds)
    return {
      outputs,
      state: Object.fromEntries(state.map(([input, output]) => [input, fromOrt(before[output]!)])),
    }
  }

  /** Runs the model: what it delivers, and the state that it ran on, which is the caller's now. */
  async #advance(id: number, feeds: Feeds) {
    const hosted = this.#get(id)
    const { session, outputs, state, current } = hosted
    const all: Record<string, OrtTensor> = {}
    for (const [name, tensor] of Object.entries(feeds)) all[name] = this.#toOrt(tensor)
    for (const [input, output] of state) all[input] = current[output]!
    // Into buffers of ours the results could be written too, but Node's build would return copies of them even so.
    const results = await session.run(all)
    hosted.current = Object.fromEntries(state.map(([, output]) => [output, results[output]!]))
    return {
      outputs: Object.fromEntries(outputs.map(name => [name, fromOrt(results[name]!)])),
      before: current,
    }
  }

  /** @param names which inputs' state; all if not given. */
  async readState(id: number, names?: readonly string[]): Promise<Record<string, Tensor>> {
    const hosted = this.#get(id)
    const read = this.#engine.state === 'on-device' ? await this.#download(hosted) : hosted.current
    const outputs = new Map(hosted.state)
    return Object.fromEntries(
      (names ?? [...outputs.keys()]).map(input => {
        const output = outputs.get(input)
        if (output === undefined) throw new Error(`the session has no state '${input}'`)
        const tensor = fromOrt(read[output]!)
        return [input, { ...tensor, data: tensor.data.slice() }]
      }),
    )
  }

  async release(id: number): Promise<void> {
    const { session, reader, current } = this.#get(id)
    this.#hosted.delete(id)
    this.#free(current)
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

  /**
   * Gives old state back. Arrays that outlived a run count as old to the garbage collector, which lets several
   * gigabytes of them gather; moved into new ones, that nobody holds, they are the first thing it frees.
   */
  #free(tensors: Record<string, OrtTensor>): void {
    if (this.#engine.state === 'on-device') for (const tensor of Object.values(tensors)) tensor.dispose()
    else structuredClone(null, { transfer: [...new Set(Object.values(tensors).map(bufferOf))] })
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

function bufferOf(tensor: OrtTensor): ArrayBuffer {
  return (tensor.data as Float32Array).buffer as ArrayBuffer
}

function fromOrt(tensor: OrtTensor): Tensor {
  return { dtype: tensor.type as DType, data: tensor.data as Float32Array, shape: tensor.dims }
}
