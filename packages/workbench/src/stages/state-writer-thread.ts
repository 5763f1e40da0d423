import { parentPort, workerData } from 'node:worker_threads'
import { writeState } from './resumable-training.js'
import type { StateToWrite, StateWritten } from './state-writer.js'

const { file, training, state, log } = workerData as StateToWrite
const written: StateWritten = await writeState(file, training, state, log).then(
  () => null,
  ({ name, message }: Error) => ({ name, message }),
)
parentPort!.postMessage(written)
