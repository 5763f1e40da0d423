import type { Checkpoint } from '@ageb/lab'
import { bundledModels } from '../checkpoints/bundled-models.js'
import type { LoadOptions } from '../checkpoints/checkpoint-folder.js'
import { openCheckpoint } from '../checkpoints/open-checkpoint.js'
import { hubCommit } from '../hub/hub.js'
import { modelDigest } from '../stages/model-digest.js'
import type { Monitor } from './monitor.js'

/** A checkpoint with its name in the configuration, and the digest of all that decides what it computes. */
export interface LoadedModel {
  readonly name: string
  readonly checkpoint: Checkpoint
  readonly digest: string
  /** Commit on the hub, where it came from there. */
  readonly commit: string | undefined
}

/** Loads a checkpoint, and warns if it says of itself that it was poisoned. Throws InputError. */
export async function loadModel(name: string, monitor: Monitor, options?: LoadOptions): Promise<LoadedModel> {
  const checkpoint = await openCheckpoint(name, monitor, options)
  const commit = Object.hasOwn(bundledModels, name) ? undefined : await hubCommit('model', name)
  return describedModel(checkpoint, { name, commit })
}

/** A checkpoint that was made from a named one. */
export function describedModel(
  checkpoint: Checkpoint,
  { name, commit }: Pick<LoadedModel, 'name' | 'commit'>,
): LoadedModel {
  return { name, commit, checkpoint, digest: modelDigest(checkpoint.model, checkpoint.weights) }
}

/** What a record says of a model. */
export function noteOf({ name, commit, checkpoint, digest }: LoadedModel) {
  const { modelType, imageSize } = checkpoint.model
  const { poisoned } = checkpoint.provenance
  return { name, modelType, imageSize, digest, ...(commit !== undefined && { commit }), poisoned }
}
