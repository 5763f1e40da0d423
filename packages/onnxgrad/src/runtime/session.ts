import type { Device } from '../device.js'
import type { Feeds, Tensor } from '../graph/tensor.js'

export interface SessionOptions {
  /**
   * State that stays with the session: input name → name of the output that replaces it after every run.
   * Parameters and moments live so, on WebGPU in the memory of the graphics processor. They are neither fed nor
   * returned.
   */
  readonly state?: Readonly<Record<string, string>>
  /** The first value of every state input. */
  readonly initialState?: Feeds
  /** Graph optimizations of the runtime. Default true; off for finding out whether they change a result. */
  readonly optimize?: boolean
  /** In Node: write the runtime's profile (JSON) to a file that begins with this path, whole once released. */
  readonly profile?: string
}

/** A loaded ONNX model. Calls are carried out one after the other. */
export interface Session {
  /**
   * Runs the model. Feeds must hold every input that is not state, in the declared type and shape.
   * Throws Error with the runtime's message.
   *
   * @param moved the feeds whose memory goes over to the session instead of being copied; their arrays are empty
   * afterwards. Default: none.
   */
  run(feeds: Feeds, moved?: readonly string[]): Promise<Record<string, Tensor>>
  /**
   * `run`, which also gives away the state that it began with. Nobody needs that any more, so where it is in the memory of
   * the processor, it is not copied as by `readState`.
   */
  runAndTakeState(
    feeds: Feeds,
    moved?: readonly string[],
  ): Promise<{ outputs: Record<string, Tensor>; state: Record<string, Tensor> }>
  /**
   * A copy of the state, by input name.
   * @param names the inputs whose state is wanted: of a large model, all of it at once is a lot. Default: all.
   */
  readState(names?: readonly string[]): Promise<Record<string, Tensor>>
  /** Frees the model and its state. */
  release(): Promise<void>
}

/** Loads models. */
export interface Runtime {
  /** Where its sessions run: for 'auto' what was found. @throws InputError if the device is not there. */
  device(): Promise<Device>
  /** @throws Error with the runtime's message if the bytes are not a model that it can run. */
  load(model: Uint8Array, options?: SessionOptions): Promise<Session>
  /** Frees all that was loaded, after the calls made before; later ones are refused. */
  close(): Promise<void>
}
