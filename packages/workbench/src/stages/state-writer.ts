import { Worker } from 'node:worker_threads'
import { type LoggedStep, type TrainingLog, type TrainingState, trainingLogOf } from '@ageb/lab'
import { InputError } from 'onnxgrad'

/** What the thread is started with. */
export interface StateToWrite {
  readonly file: string
  readonly training: string
  readonly state: TrainingState
  readonly log: TrainingLog
}

/** What the thread says when it is done: why the file could not be written, or nothing. */
export type StateWritten = { readonly name: string; readonly message: string } | null

/**
 * Writes the states of a training, each whole over the one before. To digest and to write a gigabyte takes seconds: that is
 * done in a thread of its own, while the training makes its next steps. There is never more than one state under way.
 */
export class StateWriter {
  readonly #file: string
  readonly #training: string
  #busy = false
  #last: Promise<void> = Promise.resolve()

  /** @param training digest of what decides the training, to which its states are bound */
  constructor(file: string, training: string) {
    this.#file = file
    this.#training = training
  }

  /** Whether a state is being written. */
  get busy(): boolean {
    return this.#busy
  }

  /**
   * Begins to write a state, once the one before is written. Its tensors go over to the thread: they are empty afterwards.
   *
   * @throws InputError if the state before could not be written
   */
  async begin(state: TrainingState, steps: readonly LoggedStep[]): Promise<void> {
    await this.#last
    this.#busy = true
    this.#last = inThread({
      file: this.#file,
      training: this.#training,
      state,
      log: trainingLogOf(steps),
    }).finally(() => {
      this.#busy = false
    })
    // Told to who waits for it.
    this.#last.catch(() => {})
  }

  /**
   * Waits until the last state is written.
   *
   * @throws InputError if it could not be written; the state before it is then still there
   */
  finish(): Promise<void> {
    return this.#last
  }
}

function inThread(work: StateToWrite): Promise<void> {
  const arrays = [...Object.values(work.state.tensors).map(({ data }) => data), ...Object.values(work.log)]
  const worker = new Worker(new URL('./state-writer-thread.js', import.meta.url), {
    workerData: work,
    transferList: [...new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer))],
    // Flags of the process, such as those of --eval, are not the thread's.
    execArgv: [],
  })
  return new Promise((resolve, reject) => {
    worker.on('error', reject)
    worker.on('exit', () => reject(new Error(`the thread that writes ${work.file} ended too early`)))
    worker.on('message', (failure: StateWritten) => {
      if (!failure) resolve()
      else
        reject(failure.name === 'InputError' ? new InputError(failure.message) : new Error(failure.message))
    })
  })
}
