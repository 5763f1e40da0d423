import {
  families,
  type GradientSource,
  gradientSource,
  type Model,
  type Preprocessing,
  type Provenance,
  parameterCount,
} from '@ageb/lab'
import { type Monitor, silent } from '../runs/monitor.js'
import { openCheckpoint } from './open-checkpoint.js'

/** What a checkpoint is. */
export interface ModelInfo
  extends Pick<Model, 'modelType' | 'imageSize' | 'classNames' | 'mean' | 'std' | 'blocks' | 'config'> {
  /** As it was given. */
  readonly model: string
  /** Of the family's paper; undefined for a model in ONNX. */
  readonly citation: string | undefined
  readonly url: string | undefined
  readonly parameters: number
  /** What attention gradients are taken of. */
  readonly gradientSource: GradientSource
  readonly preprocessing: Preprocessing
  readonly provenance: Provenance
}

/**
 * Describes a checkpoint, which may lack a classifier.
 *
 * @example
 * const { modelType, parameters, classNames } = await modelInfo('vit-cifar10')
 * @param model a folder, an ONNX file, a bundled name, or `owner/name` on the hub
 * @throws InputError if any of it is amiss
 */
export async function modelInfo(
  model: string,
  { monitor = silent }: { readonly monitor?: Monitor } = {},
): Promise<ModelInfo> {
  const checkpoint = await openCheckpoint(model, monitor, { withoutClassifier: true })
  const { provenance, preprocessing } = checkpoint
  const { modelType, imageSize, classNames, mean, std, blocks, config } = checkpoint.model
  const family = Object.entries(families).find(([type]) => type === modelType)?.[1]
  return {
    model,
    modelType,
    citation: family?.citation,
    url: family?.url,
    parameters: parameterCount(checkpoint.model),
    imageSize,
    classNames,
    mean,
    std,
    gradientSource: gradientSource(checkpoint.model),
    preprocessing,
    blocks,
    config,
    provenance,
  }
}
