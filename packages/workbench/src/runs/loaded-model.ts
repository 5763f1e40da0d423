import type { Checkpoint } from '@ageb/lab'
import type { LoadOptions } from '../checkpoints/checkpoint-folder.js'
import { openCheckpoint } from '../checkpoints/open-checkpoint.js'
import { modelDigest } from '../stages/model-digest.js'
import type { Monitor } from './monitor.js'

/** A checkpoint with its name in the configuration, and the digest of all that decides what it computes. */
export interface LoadedModel {
  readonly name: string
  readonly checkpoint: Checkpoint
  readonly digest: string
}

/** Loads a checkpoint, and warns if it says of itself that it was poisoned. Throws InputError. */
export async function loadModel(name: string, monitor: Monitor, options?: LoadOptions): Promise<LoadedModel> {
  return describedModel(await openCheckpoint(name, monitor, options), { name })
}

/** A checkpoint that was made from a named one. */
export function describedModel(checkpoint: Checkpoint, { name }: Pick<LoadedModel, 'name'>): LoadedModel {
  return { name, checkpoint, digest: modelDigest(checkpoint.model, checkpoint.weights) }
}

/** What a record says of a model. */
export function noteOf({ name, checkpoint, digest }: LoadedModel) {
  const { model, provenance } = checkpoint
  return {
    name,
    modelType: model.modelType,
    imageSize: model.imageSize,
    digest,
    poisoned: provenance.poisoned,
  }
}
