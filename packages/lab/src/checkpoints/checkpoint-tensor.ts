import type { StoredTensor } from './safetensors.js'

/** A tensor of a checkpoint, not read yet, with where it is. */
export interface CheckpointTensor extends StoredTensor {
  /** The file's name, for messages. */
  readonly file: string
  /** Its name there. */
  readonly storedAs: string
}

/** The tensors of a checkpoint by the names of the model's parameters. */
export type CheckpointTensors = ReadonlyMap<string, CheckpointTensor>
