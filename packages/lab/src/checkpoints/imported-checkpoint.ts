import type { OnnxModel } from 'onnxgrad'
import type { Model } from '../models/model.js'
import type { Checkpoint } from './checkpoint.js'

/** A checkpoint whose model was read from ONNX. */
export type ImportedCheckpoint = Checkpoint & { readonly model: Model & { readonly file: OnnxModel } }

export function isImported(checkpoint: Checkpoint): checkpoint is ImportedCheckpoint {
  return checkpoint.model.file !== undefined
}
